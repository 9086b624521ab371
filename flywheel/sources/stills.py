"""Reading a database that nobody is writing and whose folder we may not write.

SQLite needs to make files beside a database in WAL mode, even to read it. Where it cannot: a database without a journal
is read as it lies (`immutable`); one with a journal is read through a private copy of both, which is removed after.
Both are only true as long as none of the files changes, so that is asked before and after every look.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from flywheel.sources.problems import SourceProblemError

LARGEST_COPY = 1_000_000_000  # bytes; a larger one would fill somebody's disk behind their back
PREFIX = "copy-"

_JOURNALS = ("-wal", "-journal")
_COPIES_LEAVE_FREE = 2  # times its own size: a copy must not be what fills the disk

_State = tuple[int, int, int, int]


class Still:
    """A database and its journals in one state."""

    def __init__(self, path: Path) -> None:
        """Note the state in which everything is now."""
        self._path = path
        self._states = self._look()
        self._copy: Path | None = None

    def holds(self) -> bool:
        """Tell whether nothing changed since."""
        return self._look() == self._states

    def readable(self) -> tuple[Path, str]:
        """Return what to open, and how."""
        if not any(self._states[1:]):
            return self._path, "mode=ro&immutable=1"
        # Ours alone: it may be recovered, which the agent's own file must never be by us.
        return self._copied(), "mode=rw"

    def close(self) -> None:
        """Remove the copy, if there is one."""
        copy, self._copy = self._copy, None
        if copy is not None:
            shutil.rmtree(copy, ignore_errors=True)

    def _look(self) -> tuple[_State | None, ...]:
        return tuple(_state(self._path.with_name(self._path.name + ending)) for ending in ("", *_JOURNALS))

    def _copied(self) -> Path:
        size = sum(state[1] for state in self._states if state is not None)
        if size > LARGEST_COPY:
            raise SourceProblemError(
                f"has a journal and is too large to be copied ({size // 1_000_000} MB)",
                "let this user write in its folder, or let its own program close it",
            )
        try:
            self._copy = _place(size)
            for ending, state in zip(("", *_JOURNALS), self._states, strict=True):
                if state is not None:
                    shutil.copyfile(self._path.with_name(self._path.name + ending), self._copy / f"copy.db{ending}")
        except OSError as error:
            raise SourceProblemError(
                f"has a journal and cannot be copied: {error.strerror}",
                "let this user read its files, or free the disk",
            ) from error
        if not self.holds():
            raise SourceProblemError("was changed while it was copied", "it is tried again", delay=1.0)
        return self._copy / "copy.db"


def _state(path: Path) -> _State | None:
    """Return the state of a file that holds something."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns) if status.st_size else None


def _place(size: int) -> Path:
    """Make a folder of our own for a copy of this size, after removing those that killed processes left."""
    root = _cache()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in root.glob(f"{PREFIX}*"):
        if not _is_alive(left.name.removeprefix(PREFIX).partition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    free = shutil.disk_usage(root).free
    if free < size * _COPIES_LEAVE_FREE:
        raise SourceProblemError(
            f"has a journal and needs {size // 1_000_000} MB for a copy, more than {root} can spare", "free the disk"
        )
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=root))


def _cache() -> Path:
    """Return where copies may lie: the unit's cache, the person's, or the system's place for what is passing."""
    named = os.environ.get("CACHE_DIRECTORY", "").partition(":")[0] or os.environ.get("XDG_CACHE_HOME")
    if named:
        return Path(named) / "flywheel" / "copies"
    with contextlib.suppress(RuntimeError):  # a user without a home
        if os.access(Path.home(), os.W_OK):
            return Path.home() / ".cache" / "flywheel" / "copies"
    return Path(tempfile.gettempdir()) / f"flywheel-{os.getuid()}" / "copies"


def _is_alive(pid: str) -> bool:
    with contextlib.suppress(ValueError, ProcessLookupError):
        try:
            os.kill(int(pid), 0)
        except PermissionError:
            return True
        return True
    return False
