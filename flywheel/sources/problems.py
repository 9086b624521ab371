"""What can be wrong with a whole source, in words a person can act on."""

from flywheel.core.errors import TemporaryError


class SourceProblemError(TemporaryError):
    """A source cannot be read now; everything else goes on and it is tried again."""


_BY_CODE = {
    "SQLITE_BUSY": ("is locked by another program", "it is tried again; check that no program keeps it locked"),
    "SQLITE_LOCKED": ("is locked by another program", "it is tried again; check that no program keeps it locked"),
    "SQLITE_NOTADB": ("is not an SQLite database", "check the source's path"),
    "SQLITE_CORRUPT": ("is damaged", "let its own program repair it, or restore it from a backup"),
    "SQLITE_CANTOPEN": (
        "cannot be opened",
        "check that this user may read it and, as it uses a WAL, write in its folder or find its -shm file there",
    ),
    "SQLITE_READONLY": ("cannot be read while its WAL needs recovery", "let its own program open it once"),
    "SQLITE_PERM": ("may not be read by this user", "give this user the right to read it"),
    "SQLITE_IOERR": ("gives an input/output error", "check the disk"),
    "SQLITE_PROTOCOL": ("is too busy to be read", "it is tried again"),
}


def as_problem(error: Exception) -> SourceProblemError:
    """Return the problem that a driver's error stands for; the driver's own words stay out of the first line."""
    if isinstance(error, UnicodeDecodeError):
        return SourceProblemError(*_BY_CODE["SQLITE_CORRUPT"])
    name = getattr(error, "sqlite_errorname", "") or ""
    for code, (message, mend) in _BY_CODE.items():
        if name.startswith(code):
            return SourceProblemError(message, mend)
    return SourceProblemError(f"cannot be read: {error}", "check the source's settings")
