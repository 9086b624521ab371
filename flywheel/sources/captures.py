"""Reads the gateway's own record of calls: who answered which task on which arm, what was asked, what was said."""

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flywheel.core.clocks import parse_time
from flywheel.core.frozen import Frozen
from flywheel.core.routing import SHADOW
from flywheel.core.secrets import find_secret
from flywheel.sources.capture_bodies import asked_of, said_of
from flywheel.sources.connections import WatchedDatabase, columns_of
from flywheel.sources.joins import CapturedCall, answer_key, question_key
from flywheel.sources.problems import SourceProblemError
from flywheel.store.captured_calls import KnownCall
from flywheel.store.gateway_calls import GatewayCall

CALLS_A_BATCH = 2000
BYTES_A_BATCH = 32_000_000  # about what one batch may hold in memory

_NAMES = ("id", "at", "alias", "model", "arm", "task", "session")
_BODIES = ("session_source", "status", "complete", "request", "response")  # without them nothing can be joined
_NUMBERS = ("fallback", "latency_ms", "first_token_ms", "prompt_tokens", "completion_tokens")
_MORE = (*_BODIES, *_NUMBERS)  # what a capture of another version may lack
_NAMED_BY = frozenset({"x-session-id", "x-session-affinity", "x-task-id"})
_OK = 200
_LARGEST = 2**31 - 1

Row = Mapping[str, Any]


class CaptureBatch(Frozen):
    """Calls that were not read yet: who answered them, what they are found by; and how far that got."""

    calls: tuple[GatewayCall, ...]
    known: tuple[KnownCall, ...]
    cursor: dict[str, Any]
    more: bool


class CaptureReader:
    """Reads the capture by cursor; a capture that is not there has nothing new."""

    def __init__(self, path: Path) -> None:
        """Prepare; nothing is opened yet."""
        self._path = path
        self._database = WatchedDatabase(path)
        self._seen: tuple[int, int] | None = None

    def is_there(self) -> bool:
        """Tell whether the gateway has ever written."""
        return self._path.exists()

    def changed(self) -> bool:
        """Tell whether the gateway may have written since the last complete look."""
        return self.is_there() and self._database.version() != self._seen

    def read(self, cursor: Mapping[str, Any]) -> CaptureBatch:
        """Return the next calls; each call is stored once by its id, so reading one again does no harm."""
        version = self._database.version()
        calls: list[GatewayCall] = []
        known: list[KnownCall] = []
        with self._database.reading() as connection:
            after = int(cursor.get("row", 0)) if cursor.get("identity") == list(self._database.identity or ()) else 0
            read, size, end = 0, 0, after
            for row in _rows(connection, "rowid > ? ORDER BY rowid LIMIT ?", (after, CALLS_A_BATCH)):
                calls.extend(_call(row))
                known.extend(_known(row))
                read, size, end = read + 1, size + _size(row), int(row["rowid"])
                if size > BYTES_A_BATCH:
                    break
        more = read == CALLS_A_BATCH or size > BYTES_A_BATCH
        if not more:
            self._seen = version
        moved = {"identity": list(self._database.identity or ()), "row": end}
        return CaptureBatch(calls=tuple(calls), known=tuple(known), cursor=moved, more=more)

    def fetch(self, calls: Sequence[str]) -> list[CapturedCall]:
        """Return these calls whole; those that the capture has no more, or that hold no text, are left out."""
        shared: dict[Any, Any] = {}
        with self._database.reading() as connection:
            rows = (row for call in calls for row in _rows(connection, "id = ?", (call,)))
            return [_sharing(call, shared) for row in rows for call in _captured(row)]

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
        self._seen = None


def _rows(connection: sqlite3.Connection, which: str, values: tuple[Any, ...]) -> Iterator[Row]:
    columns = columns_of(connection, "calls")
    if not columns:
        return  # the gateway has only just made the file
    if missing := set(_NAMES) - set(columns):
        raise SourceProblemError(
            f"has no column {', '.join(sorted(missing))}", "gateway and daemon must be of the same version"
        )
    names = ("rowid", *_NAMES, *(name for name in _MORE if name in columns))
    query = f"SELECT {', '.join(names)} FROM calls WHERE {which}"  # noqa: S608 - our own names
    for row in connection.execute(query, values):
        yield _nameable(dict(zip(names, row, strict=True)))


def _nameable(row: dict[str, Any]) -> Row:
    """Return a row without a task's or session's name that holds a secret: names are kept as they are."""
    return row | {name: None for name in ("task", "session") if find_secret(_text(row[name])) is not None}


def _call(row: Row) -> Iterator[GatewayCall]:
    """Yield a call as the store keeps it; one that was not made through an alias has no line, and a shadow no task."""
    alias, model, when, call = row["alias"], row["model"], parse_time(row["at"]), row["id"]
    if alias and model and when is not None and isinstance(call, str) and row["arm"] != SHADOW:
        task, session = row["task"], row["session"]
        yield GatewayCall(call=call, line=str(alias), name=str(model), arm=str(row["arm"] or ""),
                          task=str(task or session or ""), session=str(session or ""), at=when,
                          status=_count(row.get("status")), complete=_flag(row.get("complete")),
                          fallback=_flag(row.get("fallback")), latency_ms=_measure(row.get("latency_ms")),
                          first_token_ms=_measure(row.get("first_token_ms")),
                          prompt_tokens=_count(row.get("prompt_tokens")),
                          completion_tokens=_count(row.get("completion_tokens")))  # fmt: skip


def _known(row: Row) -> Iterator[KnownCall]:
    """Yield what an answered call is found by."""
    for call in _captured(row):
        yield KnownCall(call=call.call, session=call.session, task=call.task, at=call.at,
                        answer=answer_key(call.response), question=question_key(call.messages))  # fmt: skip


def _captured(row: Row) -> Iterator[CapturedCall]:
    """Yield the call when the agent was answered and both what was asked and what was said can be read."""
    call, when = row["id"], parse_time(row["at"])
    if not isinstance(call, str) or when is None or row.get("status") != _OK or row["arm"] == SHADOW:
        return
    asked, said = asked_of(_bytes(row.get("request"))), said_of(_bytes(row.get("response")))
    if asked is None or said is None:
        return
    session = row["session"] if row.get("session_source") in _NAMED_BY else ""
    yield CapturedCall(call=call, at=when, session=_text(session), task=_text(row["task"]), model=_text(row["model"]),
                       arm=_text(row["arm"]), complete=bool(row.get("complete")), messages=asked.messages,
                       tools=asked.tools, response=said.text)  # fmt: skip


def _sharing(call: CapturedCall, shared: dict[Any, Any]) -> CapturedCall:
    """Return the call with the messages and tools of the ones before it: a conversation repeats itself every turn."""
    messages = tuple(shared.setdefault((message.role, message.content), message) for message in call.messages)
    tools = shared.setdefault(json.dumps(call.tools), call.tools)
    return call.model_copy(update={"messages": messages, "tools": tools})


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "replace") if isinstance(value, str) else b""


def _count(value: Any) -> int | None:
    """Return a number that every database can hold."""
    return value if isinstance(value, int) and 0 <= value <= _LARGEST else None


def _measure(value: Any) -> float | None:
    known = isinstance(value, int | float) and math.isfinite(value) and value >= 0
    return float(value) if known else None


def _flag(value: Any) -> bool | None:
    return bool(value) if isinstance(value, int) else None


def _text(value: Any) -> str:
    return value.replace("\x00", "") if isinstance(value, str) else ""


def _size(row: Row) -> int:
    return len(_bytes(row.get("request"))) + len(_bytes(row.get("response")))
