"""A kept read-only connection to somebody else's database: never writes, never checkpoints, notices replacement."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flywheel.core.ids import bytes_hash
from flywheel.sources.problems import SourceProblemError, as_problem
from flywheel.sources.stills import Still

LOCK_SECONDS = 2.0  # longer than any short transaction of an agent, shorter than a person's patience

# Where a damaged file's own words stand in the driver's message, the driver may fail to decode that.
_BROKEN = (sqlite3.Error, UnicodeDecodeError)

Identity = tuple[int, int]


class Undecodable:
    """Stands where a text was whose bytes are not UTF-8; remembers only which bytes, by their hash."""

    def __init__(self, raw: bytes) -> None:
        """Keep the hash."""
        self.digest = bytes_hash([raw])


def _text(raw: bytes) -> str | Undecodable:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return Undecodable(raw)


class WatchedDatabase:
    """Answers two questions: has anything changed, and what is in there now."""

    def __init__(self, path: Path, lock_seconds: float = LOCK_SECONDS) -> None:
        """Remember where; nothing is opened yet."""
        self._path = path
        self._lock_seconds = lock_seconds
        self._connection: sqlite3.Connection | None = None
        self._still: Still | None = None
        self._identity: Identity | None = None
        self._openings = 0

    @property
    def identity(self) -> Identity | None:
        """Return device and inode of the file that is open."""
        return self._identity

    @property
    def openings(self) -> int:
        """Return how often the file was opened: the database counts its changes anew on each connection."""
        return self._openings

    def version(self) -> tuple[int, int]:
        """Return a value that differs whenever the file was changed or replaced since; costs the same at any size."""
        connection = self._opened()
        try:
            number = int(connection.execute("PRAGMA data_version").fetchone()[0])
        except _BROKEN as error:
            self.close()
            raise as_problem(error) from error
        return self._openings, number

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside one short read transaction; raises `SourceProblemError`."""
        connection = self._opened()
        try:
            connection.execute("BEGIN")
            yield connection
            if self._still is not None and not self._still.holds():
                self.close()
                raise SourceProblemError("was changed while it was read", "it is tried again", delay=1.0)
        except _BROKEN as error:
            self._end(connection)
            self.close()
            raise as_problem(error) from error
        finally:
            self._end(connection)

    def close(self) -> None:
        """Let go of the file."""
        connection, self._connection, self._identity = self._connection, None, None
        if connection is not None:
            connection.close()
        still, self._still = self._still, None
        if still is not None:
            still.close()

    def _opened(self) -> sqlite3.Connection:
        identity = _identity(self._path)
        kept = self._still is None or self._still.holds()
        if self._connection is not None and identity == self._identity and kept:
            return self._connection
        self.close()
        try:
            self._connection = _connect(self._path, "mode=ro", self._lock_seconds)
        except _BROKEN as error:
            if not _folder_may_be_closed(error):
                raise as_problem(error) from error
            self._connection = self._open_still(error)
        self._identity = identity
        self._openings += 1
        return self._connection

    def _open_still(self, error: Exception) -> sqlite3.Connection:
        """Open a database whose folder we may not write: as it lies there, or, where it has a journal, a copy of it."""
        still = Still(self._path)
        try:
            path, mode = still.readable()
            connection = _connect(path, mode, self._lock_seconds)
        except _BROKEN:
            still.close()
            raise as_problem(error) from error  # the first error says it better
        except SourceProblemError:
            still.close()
            raise
        self._still = still
        return connection

    @staticmethod
    def _end(connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()


def _identity(path: Path) -> Identity:
    try:
        status = path.stat()
    except FileNotFoundError:
        where = "its folder is missing" if not path.parent.is_dir() else "there is no such file"
        raise SourceProblemError(f"is not there: {where}", "it is read as soon as it appears") from None
    except OSError as error:
        raise SourceProblemError(f"cannot be reached: {error.strerror}", "check the rights of its folders") from error
    if not path.is_file():
        raise SourceProblemError("is not a file", "check the source's path")
    return status.st_dev, status.st_ino


def _folder_may_be_closed(error: Exception) -> bool:
    """Tell whether it may be that SQLite could not make the files it needs beside the database."""
    return (getattr(error, "sqlite_errorname", "") or "").startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))


def _connect(path: Path, mode: str, lock_seconds: float) -> sqlite3.Connection:
    uri = f"file:{quote(str(path))}?{mode}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=lock_seconds, isolation_level=None, check_same_thread=False, cached_statements=16
    )
    connection.text_factory = _text
    try:
        connection.execute("PRAGMA query_only = 1")
        connection.execute("PRAGMA cache_size = -2048")  # 2 MiB: the idle daemon stays small
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # a file that is no database says so here
    except _BROKEN:
        connection.close()
        raise
    return connection


def rows_of(connection: sqlite3.Connection, query: str, values: Sequence[Any]) -> list[Any]:
    """Return the rows of a query; what is not UTF-8 comes as `Undecodable`, and costs only where there is some."""
    factory = connection.text_factory
    connection.text_factory = str
    try:
        return connection.execute(query, values).fetchall()
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
    finally:
        connection.text_factory = factory
    return connection.execute(query, values).fetchall()


def columns_of(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """Return the columns of a table or view, none when it is not there."""
    rows: list[Any] = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
    return tuple(str(row[0]) for row in rows)


def is_indexed(connection: sqlite3.Connection, table: str, column: str) -> bool:
    """Tell whether rows can be found by the column without reading the whole table."""
    query = (
        "SELECT 1 FROM pragma_index_list(?) AS l JOIN pragma_index_info(l.name) AS i"
        " WHERE i.seqno = 0 AND lower(i.name) = lower(?) AND l.partial = 0 LIMIT 1"
    )
    return connection.execute(query, (table, column)).fetchone() is not None


def quoted(name: str) -> str:
    """Return a name as SQL takes it, whatever it contains."""
    return '"' + name.replace('"', '""') + '"'
