"""The capture's file: one table, written here, read by the daemon by rowid."""

import os
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, NamedTuple

from flywheel.gateway.calls import Call

_PRIVATE = 0o600
_LOCK_SECONDS = 1.0
_ROWS_AT_ONCE = 200
_ROOM = 0.9  # of the bound is what a file that was too large is brought down to
_STEPS = 20  # then calls are written again, and it goes on later

# AUTOINCREMENT: rowids are never used twice, not even after the oldest calls are gone, so that a reader's cursor holds.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    at TEXT NOT NULL,
    alias TEXT,
    model TEXT,
    arm TEXT,
    routing_version INTEGER NOT NULL,
    session TEXT NOT NULL,
    session_source TEXT NOT NULL,
    task TEXT,
    status INTEGER,
    streamed INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    fallback INTEGER NOT NULL,
    request BLOB NOT NULL,
    response BLOB NOT NULL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    latency_ms REAL NOT NULL,
    first_token_ms REAL,
    mirrors TEXT,
    quarantine TEXT
);
CREATE INDEX IF NOT EXISTS calls_at ON calls (at);
"""
_ADDED = ("mirrors", "quarantine")  # columns that a file from before them lacks; each may be null
# A batch whose COMMIT failed may be there all the same: written again it must not stand in the way for ever.
_INSERT = (
    f"INSERT INTO calls ({', '.join(Call._fields)}) "  # noqa: S608 - our own column names
    f"VALUES ({', '.join('?' * len(Call._fields))}) ON CONFLICT (id) DO NOTHING"
)
_FORGET_OLDEST = "DELETE FROM calls WHERE seq IN (SELECT seq FROM calls ORDER BY seq LIMIT ?)"
_FORGET_BEFORE = "DELETE FROM calls WHERE seq IN (SELECT seq FROM calls WHERE at < ? ORDER BY at LIMIT ?)"


class Tidied(NamedTuple):
    """How many calls were forgotten, and whether there are more to forget."""

    calls: int
    more: bool


class CaptureDatabase:
    """Writes batches whole or not at all; opens the file again whenever it was closed, moved or deleted."""

    TROUBLES: ClassVar = (sqlite3.Error, OSError)

    def __init__(self, path: Path, file_bytes: int) -> None:
        """Remember where, and how large the file may be; nothing is opened yet."""
        self._path = path
        self._file_bytes = file_bytes
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    def write(self, batch: Sequence[Call]) -> None:
        """Store the batch in one transaction; raises one of `TROUBLES` when the disk does not take it."""
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(_INSERT, batch)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def tidy(self, before: datetime) -> Tidied:
        """Forget the calls from before a moment, and the oldest while the file is too large; a few at a time.

        `more` says that there is more to do, in a moment. A file that is not there stays so.
        """
        if not self._path.exists():
            return Tidied(0, more=False)
        connection = self._open()
        moment = before.astimezone(UTC).isoformat(timespec="microseconds")
        gone, large = 0, _used(connection) > self._file_bytes
        for _ in range(_STEPS):
            count = connection.execute(_FORGET_BEFORE, (moment, _ROWS_AT_ONCE)).rowcount
            if not count and large and _used(connection) > self._file_bytes * _ROOM:
                count = connection.execute(_FORGET_OLDEST, (_ROWS_AT_ONCE,)).rowcount
            if not count:
                return Tidied(gone, more=False)
            gone += count
        return Tidied(gone, more=True)

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._is_still_there():
            return self._connection
        self.close()
        self._inode = _create_private(self._path)
        self._connection = sqlite3.connect(
            self._path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)
        _add_columns(self._connection)
        return self._connection

    def _is_still_there(self) -> bool:
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False


def _used(connection: sqlite3.Connection) -> int:
    """Return how many bytes of the file hold something."""
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _add_columns(connection: sqlite3.Connection) -> None:
    """Bring a file of an earlier version up to this one; whoever reads or writes it by column names goes on."""
    there = {row[1] for row in connection.execute("PRAGMA table_info(calls)")}
    for name in _ADDED:
        if name not in there:
            connection.execute(f"ALTER TABLE calls ADD COLUMN {name} TEXT")


def _create_private(path: Path) -> int:
    """Make sure that the file and its folder exist and that nobody else may read it; return its inode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
    try:
        os.fchmod(descriptor, _PRIVATE)
        return os.fstat(descriptor).st_ino
    finally:
        os.close(descriptor)
