"""The capture's file: one table, written here, read by the daemon by rowid."""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from flywheel.gateway.calls import Call

_PRIVATE = 0o600
_LOCK_SECONDS = 1.0
_WRITES_BETWEEN_SIZE_CHECKS = 100

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
    first_token_ms REAL
);
CREATE INDEX IF NOT EXISTS calls_at ON calls (at);
"""
# A batch whose COMMIT failed may be there all the same: written again it must not stand in the way for ever.
_INSERT = (
    f"INSERT INTO calls ({', '.join(Call._fields)}) "  # noqa: S608 - our own column names
    f"VALUES ({', '.join('?' * len(Call._fields))}) ON CONFLICT (id) DO NOTHING"
)
_FORGET_OLDEST = "DELETE FROM calls WHERE seq <= (SELECT min(seq) + (max(seq) - min(seq)) / 10 FROM calls)"


class CaptureDatabase:
    """Writes batches whole or not at all; opens the file again whenever it was closed, moved or deleted."""

    TROUBLES: ClassVar = (sqlite3.Error, OSError)

    def __init__(self, path: Path, file_bytes: int) -> None:
        """Remember where; nothing is opened yet."""
        self._path = path
        self._file_bytes = file_bytes
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._writes = 0

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
        if self._writes % _WRITES_BETWEEN_SIZE_CHECKS == 0:
            self._stay_within(connection)
        self._writes += 1

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
        return self._connection

    def _is_still_there(self) -> bool:
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    def _stay_within(self, connection: sqlite3.Connection) -> None:
        pages, free, size = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size > self._file_bytes:
            connection.execute(_FORGET_OLDEST)


def _create_private(path: Path) -> int:
    """Make sure that the file and its folder exist and that nobody else may read it; return its inode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
    try:
        os.fchmod(descriptor, _PRIVATE)
        return os.fstat(descriptor).st_ino
    finally:
        os.close(descriptor)
