"""The sessions of an opencode database, V1 and V2 side by side; where both hold a session, V2 is right.

Every query goes by an index but two: over the sessions' own rows, and over `event_sequence`. Neither grows with what
was said. `event`, which may hold gigabytes, is never read; parts are read for one session at a time.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

from flywheel.core.ids import content_hash
from flywheel.sources import opencode_v1, opencode_v2
from flywheel.sources.connections import Undecodable
from flywheel.sources.conversations import UnreadableError
from flywheel.sources.opencode_json import loaded
from flywheel.sources.opencode_records import Changes, Entry, Head, Roll, Session, name_in, number_in, text_in
from flywheel.sources.opencode_schemas import Layout
from flywheel.sources.opencode_v1 import RawMessage
from flywheel.sources.opencode_v2 import RawRow
from flywheel.sources.readings import Refusal

MOST_BYTES = 256_000_000  # no session is that large; one that is would fill our memory

_SHIFTED = 100  # more rows than this do not differ from their predecessors: they moved up

_TABLES = ("session", "session_v2")
_ROLL = {name: f"SELECT CAST(id AS BLOB), time_updated FROM {name}" for name in _TABLES}  # noqa: S608 - ours
_HEADS = {name: f"SELECT parent_id, version, time_updated FROM {name} WHERE id = ?" for name in _TABLES}  # noqa: S608 - ours
_SEQUENCES = "SELECT CAST(aggregate_id AS BLOB), seq FROM event_sequence"
_SEQUENCE = "SELECT seq FROM event_sequence WHERE aggregate_id = ?"
_SESSION = (
    "SELECT project_id, parent_id, version, directory, revert, time_created, time_updated FROM {table} WHERE id = ?"
)
_MESSAGES = "SELECT id, time_updated, data FROM message WHERE session_id = ? ORDER BY time_created, id"
_PARTS = "SELECT message_id, time_updated, data FROM part WHERE session_id = ? ORDER BY message_id, id"
_ROWS = "SELECT id, type, time_created, time_updated, data FROM session_message WHERE session_id = ? ORDER BY seq"
_DEPTHS = {
    False: "SELECT (SELECT count(*) || '.' || coalesce(max(time_updated), 0) FROM message WHERE session_id = :id)"
    " || '/' || (SELECT count(*) || '.' || coalesce(max(time_updated), 0) FROM part WHERE session_id = :id)",
    True: "SELECT count(*) || '.' || coalesce(max(time_updated), 0) FROM session_message WHERE session_id = :id",
}


class DatabaseArchive:
    """One read transaction on a database. See `opencode_records.Archive`."""

    def __init__(self, connection: sqlite3.Connection, layout: Layout) -> None:
        """Take a connection inside a transaction."""
        self._connection = connection
        self._layout = layout

    def changes(self, before: Roll) -> Changes:
        """Return what happened since; names are compared as bytes, and only what was changed is decoded."""
        tables = [name for name, there in (("session", self._layout.v1), ("session_v2", self._layout.v2)) if there]
        queries = [*(_ROLL[table] for table in tables), *([_SEQUENCES] if self._layout.sequences else [])]
        roll = Roll(tuple(self._connection.execute(query).fetchall() for query in queries))
        suspects = {
            name for new, old in zip_longest(roll.rows, before.rows, fillvalue=()) for name in _differing(new, old)
        }
        found = {raw: self._head(raw, tables) for raw in suspects}
        return Changes(
            heads=[one for one in found.values() if isinstance(one, Head)],
            gone=frozenset(name for raw, one in found.items() if one is None and (name := _name(raw)) is not None),
            roll=roll,
            refusals=[one for one in found.values() if isinstance(one, Refusal)],
        )

    def depth(self, head: Head) -> str:
        """Return how many rows the session has and when the last of them was changed."""
        return str(self._connection.execute(_DEPTHS[head.newer], {"id": head.id}).fetchone()[0])

    def session(self, head: Head) -> Session:
        """Read a session whole; raises UnreadableError."""
        query = _SESSION.format(table="session_v2" if head.newer else "session")
        row = self._connection.execute(query, (head.id,)).fetchone()
        project, parent, version, directory, revert, created, updated = row
        read = self._entries_v2 if head.newer else self._entries_v1
        entries, last, size = read(head.id)
        where = name_in(directory, "a directory")
        return Session(
            id=head.id,
            parent=name_in(parent, "a session's id"),
            version=name_in(version, "a version"),
            directory=where,
            repo=self._repo(project) or where,
            created=number_in(created, "a time"),
            updated=max(number_in(updated, "a time"), last),
            size=size,
            entries=entries,
            reverted=reverted_in(revert),
        )

    def _head(self, raw: object, tables: Sequence[str]) -> Head | Refusal | None:
        """Return what a session's own row tells, of the two generations the newer; None when there is none."""
        name = _name(raw)
        if name is None:
            digest = content_hash(repr(raw))[:12]
            return Refusal(row=f"session/unreadable-{digest}", rule="wrong-type", reason="a session's id is no name")
        found = ((table, self._connection.execute(_HEADS[table], (name,)).fetchone()) for table in reversed(tables))
        table, own = next(((table, row) for table, row in found if row is not None), ("", None))
        if own is None:
            return None
        parent, version, updated = own
        row = self._connection.execute(_SEQUENCE, (name,)).fetchone() if self._layout.sequences else None
        sequence = row[0] if row is not None and isinstance(row[0], int) else None
        return Head(
            id=name,
            parent=parent if isinstance(parent, str) else "",
            version=version if isinstance(version, str) else "",
            updated=opencode_v2.time_of(updated),
            looks=f"{table}.{'-' if sequence is None else sequence}.{opencode_v2.time_of(updated)}",
            exact=sequence is not None,
            newer=table == "session_v2",
        )

    def _entries_v1(self, session: str) -> tuple[tuple[Entry, ...], int, int]:
        parts: dict[object, list[object]] = defaultdict(list)
        meter = _Meter()
        for message, updated, data in self._connection.execute(_PARTS, (session,)):
            parts[message].append(data)
            meter.add(updated, data)
        entries = []
        for identity, updated, data in self._connection.execute(_MESSAGES, (session,)):
            meter.add(updated, data)
            entries.append(entry_v1(identity, data, parts.get(identity, ())))
        return tuple(entries), meter.last, meter.size

    def _entries_v2(self, session: str) -> tuple[tuple[Entry, ...], int, int]:
        meter = _Meter()
        entries = []
        for identity, kind, created, updated, data in self._connection.execute(_ROWS, (session,)):
            meter.add(updated, data)
            entries.append(_entry_v2(identity, kind, created, data))
        return tuple(entry for entry in entries if entry is not None), meter.last, meter.size

    def _repo(self, project: object) -> str:
        """Return the root of the working tree; what is in none has no other home than its directory."""
        if not self._layout.projects or not isinstance(project, str):
            return ""
        row = self._connection.execute("SELECT worktree FROM project WHERE id = ?", (project,)).fetchone()
        return repo_in(row[0] if row else None)


class _Meter:
    """Adds up what is read and stops where it is too much."""

    def __init__(self) -> None:
        self.last = 0
        self.size = 0

    def add(self, updated: object, data: object) -> None:
        self.last = max(self.last, opencode_v2.time_of(updated))
        self.size += len(data) if isinstance(data, str | bytes) else 0
        if self.size > MOST_BYTES:
            raise UnreadableError("too-large", f"the session holds more than {MOST_BYTES} bytes")


def entry_v1(identity: object, data: object, parts: Iterable[object]) -> Entry:
    """Return the entry of a message with its parts, as they stand in the columns; never raises."""
    name = safe_id(identity)
    try:
        held = loaded(data, "a message")
        return opencode_v1.entry_of(RawMessage(name, held, [loaded(part, "a part") for part in parts]))
    except UnreadableError as error:
        return Entry(id=name, kind="broken", at=0, why=error)


def repo_in(worktree: object) -> str:
    """Return a project's working tree, empty when it has none of its own."""
    return worktree if isinstance(worktree, str) and worktree != "/" and "\x00" not in worktree else ""


def reverted_in(revert: object) -> str:
    """Return the first message that was taken back, empty when none was."""
    held: Any = loaded(revert, "a revert") if revert not in {None, ""} else {}
    return text_in(held.get("messageID"), "a message's id")


def safe_id(value: object) -> str:
    """Return a row's id, or what stands for one that is no text."""
    if isinstance(value, str) and "\x00" not in value and len(value) <= 200:  # noqa: PLR2004 - theirs have 30
        return value
    return f"unreadable-{value.digest[:12]}" if isinstance(value, Undecodable) else "unreadable"


def _entry_v2(identity: object, kind: object, created: object, data: object) -> Entry | None:
    name, at = safe_id(identity), opencode_v2.time_of(created)
    try:
        return opencode_v2.entry_of(RawRow(name, kind, at, loaded(data, "a message")))
    except UnreadableError as error:
        return Entry(id=name, kind="broken", at=at, why=error)


def _differing(new: Sequence[Any], old: Sequence[Any]) -> set[Any]:
    """Return the names of rows that are not in both; rows stay in their order unless one before them went."""
    if len(new) >= len(old):
        pairs = [(one, other) for one, other in zip(new, old, strict=False) if one != other]
        if len(pairs) <= _SHIFTED:
            return {row[0] for pair in pairs for row in pair} | {row[0] for row in new[len(old) :]}
    return {row[0] for row in set(new) ^ set(old)}


def _name(raw: object) -> str | None:
    """Return a session's id, None when it is none."""
    try:
        name = raw.decode() if isinstance(raw, bytes) else None
    except UnicodeDecodeError:
        return None
    return name if name and safe_id(name) == name else None
