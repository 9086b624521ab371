"""A SQLite database as it is at one moment, in a file of its own, whoever writes to it meanwhile."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from flywheel.core.errors import CorruptError, ResourceError, UnavailableError

_LOCK_SECONDS = 10.0
_TOLD = 5  # faults of a damaged database that are told


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database whole, in one step that stops no writer; the copy is one file, without a log beside it."""
    target.touch(mode=0o600)
    try:
        with (
            closing(sqlite3.connect(f"file:{_quoted(source)}?mode=ro", uri=True, timeout=_LOCK_SECONDS)) as there,
            closing(sqlite3.connect(target)) as here,
        ):
            there.backup(here)  # every page in one read transaction: what is committed meanwhile is not in it
        settle(target)
    except sqlite3.DatabaseError as error:
        raise _as_ours(error, source) from error


def settle(path: Path) -> None:
    """Let a database that nobody else has open be one file, as no log beside it would be copied with it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")


def faults(path: Path) -> list[str]:
    """Return what SQLite's own look through every page finds wrong; nothing for a sound database."""
    try:
        with closing(sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True, timeout=_LOCK_SECONDS)) as connection:
            found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_TOLD})")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [] if found == ["ok"] else found


def move_home(path: Path, old: Path, new: Path) -> None:
    """Let every place below the old home that the store speaks of lie below the new one."""
    pairs = (f"{old}/", f"{new}/")
    quoted = tuple(json.dumps(place)[1:-1] for place in pairs)  # as it stands in JSON
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE adapters SET path = replace(path, ?, ?)", pairs)
        query = "UPDATE jobs SET folder = replace(folder, ?, ?), spec = replace(spec, ?, ?)"
        connection.execute(query, (*pairs, *quoted))


def forgotten_since(path: Path, event: int) -> int:
    """Count what was forgotten after an event; a store that is not there, or cannot be read, tells of nothing."""
    query = "SELECT COUNT(*) FROM ledger WHERE seq > ? AND kind = 'operator.records_forgotten'"
    try:
        with closing(sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True, timeout=_LOCK_SECONDS)) as connection:
            return int(connection.execute(query, (event,)).fetchone()[0])
    except sqlite3.DatabaseError:
        return 0


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _as_ours(error: sqlite3.DatabaseError, path: Path) -> CorruptError | ResourceError | UnavailableError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return ResourceError(f"{path.name} cannot be copied: {error}", "free disk space where the backup goes")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN")):
        return UnavailableError(f"{path} cannot be read: {error}", "check its permissions, or try again")
    return CorruptError(f"{path.name} is damaged: {error}", "restore a backup: `flywheel restore`")
