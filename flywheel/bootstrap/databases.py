"""How the room's own databases are written, and what is said when they cannot be."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flywheel.core.errors import CorruptError, UnavailableError


@contextmanager
def writing(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Write all that is written in the block, or nothing; raises UnavailableError or CorruptError."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        raise problem_of(path, error) from error
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def problem_of(path: Path, error: Exception) -> UnavailableError | CorruptError:
    """Return what is wrong with a database, and how to mend it."""
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return CorruptError(f"{path.name} is damaged: {error}", "restore it from a backup, or move it away")
    return UnavailableError(f"{path.name} cannot be written: {error}", "check the disk and who else holds it")
