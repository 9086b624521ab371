"""Reads the gateway's copies of calls beside the calls they repeat: what rollout compares while an adapter listens."""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flywheel.core.shadows import Pair, Spoken
from flywheel.sources.capture_bodies import said_of

_SECONDS = 1.0
_NAMES = ("status", "complete", "response", "latency_ms", "first_token_ms", "completion_tokens")
_FROM = "FROM calls s JOIN calls p ON p.id = s.mirrors WHERE s.model = ? AND s.arm = 'shadow' AND s.at >= ?"
_WHICH = f"SELECT s.id {_FROM} ORDER BY s.seq LIMIT ?"
_BOTH = (
    f"SELECT {', '.join(f'{side}.{name}' for side in 'ps' for name in _NAMES)}"  # noqa: S608 - our own names
    " FROM calls s JOIN calls p ON p.id = s.mirrors WHERE s.id = ?"
)


class ShadowPairs:
    """Finds pairs in a capture; one that is not there, locked or from before there were copies holds none."""

    def __init__(self, path: Path) -> None:
        """Remember where; nothing is opened yet."""
        self._path = path

    def pairs(self, model: str, since: datetime, limit: int, known: Collection[str]) -> list[Pair]:
        """Return, of the first so many copies that a model answered since a time, those that are not known yet."""
        if not self._path.is_file():
            return []
        begin = since.astimezone(UTC).isoformat(timespec="microseconds")
        try:
            with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=_SECONDS)) as connection:
                return list(_new(connection, (model, begin, limit), known))
        except sqlite3.Error:
            return []  # it is asked again


def _new(connection: sqlite3.Connection, which: tuple[Any, ...], known: Collection[str]) -> Iterator[Pair]:
    for (call,) in connection.execute(_WHICH, which).fetchall():
        if call in known:
            continue
        for row in connection.execute(_BOTH, (call,)):
            yield Pair(call=str(call), shown=_spoken(row[: len(_NAMES)]), shadow=_spoken(row[len(_NAMES) :]))


def _spoken(values: tuple[Any, ...]) -> Spoken:
    named = dict(zip(_NAMES, values, strict=True))
    response = named.pop("response")
    kept = response if isinstance(response, bytes) and response else None  # one that held a secret is not kept
    said = said_of(kept) if kept else None
    text = None if kept is None else said.text if said else ""
    return Spoken(text=text, **{**named, "complete": bool(named["complete"])})
