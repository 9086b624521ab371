"""Reads the gateway's own record of calls: which adapter answered which task, on which arm."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flywheel.core.clocks import parse_time
from flywheel.core.frozen import Frozen
from flywheel.sources.connections import WatchedDatabase, columns_of
from flywheel.sources.problems import SourceProblemError
from flywheel.store.gateway_calls import GatewayCall

CALLS_A_BATCH = 2000

_QUERY = "SELECT rowid, id, at, alias, model, arm, task, session FROM calls WHERE rowid > ? ORDER BY rowid LIMIT ?"
_NEEDED = frozenset({"id", "at", "alias", "model", "arm", "task", "session"})


class CaptureBatch(Frozen):
    """Calls that were not read yet, and how far that got."""

    calls: tuple[GatewayCall, ...]
    cursor: dict[str, Any]
    more: bool


class CaptureReader:
    """Reads the capture by cursor; a capture that is not there has nothing new."""

    def __init__(self, path: Path) -> None:
        """Prepare; nothing is opened yet."""
        self._path = path
        self._database = WatchedDatabase(path)
        self._seen: tuple[int, int] | None = None

    def changed(self) -> bool:
        """Tell whether the gateway may have written since the last complete look."""
        return self._path.exists() and self._database.version() != self._seen

    def read(self, cursor: Mapping[str, Any]) -> CaptureBatch:
        """Return the next calls; each call is stored once by its id, so reading one again does no harm."""
        version = self._database.version()
        with self._database.reading() as connection:
            after = int(cursor.get("row", 0)) if cursor.get("identity") == list(self._database.identity or ()) else 0
            rows = self._rows(connection, after)
        more = len(rows) == CALLS_A_BATCH
        if not more:
            self._seen = version
        end = int(rows[-1][0]) if rows else after
        calls = tuple(call for row in rows if (call := _call(row)) is not None)
        return CaptureBatch(
            calls=calls, cursor={"identity": list(self._database.identity or ()), "row": end}, more=more
        )

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
        self._seen = None

    @staticmethod
    def _rows(connection: sqlite3.Connection, after: int) -> list[tuple[Any, ...]]:
        columns = columns_of(connection, "calls")
        if not columns:
            return []  # the gateway has only just made the file
        if missing := _NEEDED - set(columns):
            raise SourceProblemError(
                f"has no column {', '.join(sorted(missing))}", "gateway and daemon must be of the same version"
            )
        return connection.execute(_QUERY, (after, CALLS_A_BATCH)).fetchall()


def _call(row: tuple[Any, ...]) -> GatewayCall | None:
    """Return a call as the store keeps it; one that was not made through an alias has no line."""
    _, call, at, alias, model, arm, task, session = row
    when = parse_time(at)
    if not alias or not model or when is None or not isinstance(call, str):
        return None
    return GatewayCall(call=call, line=str(alias), name=str(model), arm=str(arm or ""),
                       task=str(task or session or ""), session=str(session or ""), at=when)  # fmt: skip
