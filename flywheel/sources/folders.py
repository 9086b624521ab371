"""A folder into which an agent writes files: which of them changed since the cursor, without a list of all.

The cursor is small: the newest files with the state they were read in, and the floor below which every file counts as
read. Files are ordered by their change time, which the system sets itself, so that a file that is new, grown, moved
here, replaced or truncated always comes out above the floor. What this cannot see (a clock that went back) is found by
the full look, which begins without a cursor.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flywheel.sources.json_lines import FileState, state_of
from flywheel.sources.problems import SourceProblemError
from flywheel.sources.readings import Refusal

RECENT_FILES = 100  # so many of the newest are remembered one by one, and looked at on every glance
WALK_SECONDS = 60.0  # between two walks through a folder that seems quiet
_QUICK = 0.005  # seconds: a walk this short is made whenever a folder changed
_WALK_SHARE = 10  # a longer one only after this many times what it took: other files may come and go all the time
_PERIOD_SHARE = 1000  # and in a quiet folder after this many times
_RACE = 50_000_000  # ns: a folder changed this shortly before a walk may change again without another time stamp

Cursor = dict[str, Any]


class Found(NamedTuple):
    """A file below the folder: its name from there, and its state."""

    name: str
    state: FileState

    @property
    def rank(self) -> tuple[int, str]:
        """Return its place in the order of reading."""
        return self.state.changed, self.name


class WatchedFolder:
    """Answers two questions about the files whose names are wanted: has anything changed, and which are they."""

    def __init__(
        self,
        root: Path,
        wanted: Callable[[str], bool],
        depth: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch `root` and folders so many levels below it; nothing is looked at yet."""
        self.root = root
        self._wanted = wanted
        self._depth = depth
        self._monotonic = monotonic
        self._cursor: Cursor | None = None
        self._folders: dict[str, int] = {}
        self._refusals: dict[str, Refusal] = {}
        self._walked = 0.0
        self._took = 0.0
        self._rest: tuple[Cursor, list[Found]] | None = None
        self._found = False  # a walk found something that was not read yet: the next glance would see nothing new

    def changed(self) -> bool:
        """Tell whether a look may find something: a glance at the folders and the newest files, seldom a walk."""
        if self._cursor is None or self._found:
            _identity(self.root)
            return True
        since = self._monotonic() - self._walked
        recent = self._cursor["recent"]
        grown = any(_state(self.root / name) not in {None, FileState(*state)} for name, state in recent.items())
        if grown or self._cursor["folder"] != _identity(self.root):
            return True
        due = max(WALK_SECONDS, self._took * _PERIOD_SHARE)
        rested = self._took < _QUICK or since >= self._took * _WALK_SHARE
        if since >= due or (rested and self._folders_changed()):
            self._found = bool(self._walk_for(self._cursor))
        return self._found

    def news(self, cursor: Mapping[str, Any]) -> list[Found]:
        """Return the files that changed since the cursor, in the order in which they are to be read."""
        if self._rest is not None and self._rest[0] == _own(cursor):
            return self._rest[1]
        return self._walk_for(cursor)

    def forward(self, cursor: Mapping[str, Any], found: Sequence[Found], done: Sequence[Found]) -> Cursor:
        """Return the cursor after the first of the found files were read, in the states in which they were read."""
        same = cursor.get("folder") == _identity(self.root)
        recent = {name: FileState(*state) for name, state in cursor.get("recent", {}).items()} if same else {}
        floor = tuple(cursor.get("floor", (0, ""))) if same else (0, "")
        recent.update({file.name: file.state for file in done})
        left = list(found[len(done) :])
        ranked = sorted(Found(name, state).rank for name, state in recent.items())
        for changed, name in ranked[: max(0, len(ranked) - RECENT_FILES)]:
            if left and (changed, name) >= left[0].rank:
                break  # the floor stays below what was not read
            floor = max(floor, (changed, name))
            del recent[name]
        ahead: Cursor = {
            "folder": _identity(self.root),
            "floor": list(floor),
            "recent": {name: list(state) for name, state in sorted(recent.items())},
        }
        self._rest = (ahead, left) if left else None
        self._cursor = None if left else ahead
        self._found = False
        return ahead

    def forget(self) -> None:
        """Let the next look begin with a walk."""
        self._cursor = self._rest = None
        self._found = False

    def refusals(self) -> tuple[Refusal, ...]:
        """Return what the last walk met and could not look at."""
        return tuple(self._refusals.values())

    def _walk_for(self, cursor: Mapping[str, Any]) -> list[Found]:
        same = cursor.get("folder") == _identity(self.root)
        recent = cursor.get("recent", {}) if same else {}
        floor = tuple(cursor.get("floor", (0, ""))) if same else (0, "")
        started = self._monotonic()
        self._folders, self._refusals = {}, {}
        found = [
            file
            for file in self._walk("", self._depth)
            if (list(file.state) != recent[file.name] if file.name in recent else file.rank > floor)
        ]
        self._walked = self._monotonic()
        self._took = self._walked - started
        return sorted(found, key=lambda file: file.rank)

    def _walk(self, below: str, depth: int) -> Iterator[Found]:
        """Go through one folder; links to folders are not followed, so that no loop holds us."""
        inner: list[str] = []
        try:
            self._folders[below] = _stamp(self.root / below)
            with os.scandir(self.root / below) as entries:
                for entry in entries:
                    name = f"{below}{entry.name}"
                    if depth and entry.is_dir(follow_symlinks=False):
                        inner.append(f"{name}/")
                    elif self._wanted(name) and (state := _entry_state(entry)) is not None:
                        if name.isascii() or is_text(name):
                            yield Found(name, state)
                        else:
                            self._refuse(name, "not-utf8", "has a name that is not valid UTF-8")
        except FileNotFoundError:
            self._folders.pop(below, None)  # it went while we looked
        except OSError as error:
            if not below:
                raise _away(error) from error
            self._refuse(below, "unreadable", f"cannot be listed: {error.strerror}")
        for name in inner:
            yield from self._walk(name, depth - 1)

    def _refuse(self, name: str, rule: str, reason: str) -> None:
        plain = name.encode(errors="backslashreplace").decode()
        self._refusals[plain] = Refusal(row=plain, rule=rule, reason=f"{plain} {reason}")

    def _folders_changed(self) -> bool:
        return any(
            stamp >= 0 and _stamp(self.root / name, settled=False) != stamp for name, stamp in self._folders.items()
        )


def is_text(name: str) -> bool:
    """Tell whether a file's name is text: the system hands over any bytes."""
    return not any("\ud800" <= char <= "\udfff" for char in name)


def _own(cursor: Mapping[str, Any]) -> Cursor:
    return {name: cursor.get(name) for name in ("folder", "floor", "recent")}


def _stamp(folder: Path, *, settled: bool = True) -> int:
    """Return when the folder's list of names changed last; 0 where it may change again without another stamp."""
    try:
        stamp = folder.stat().st_mtime_ns
    except OSError:
        return 0
    return 0 if settled and time.time_ns() - stamp < _RACE else stamp


def _identity(root: Path) -> list[int]:
    try:
        status = root.stat()
    except OSError as error:
        raise _away(error) from error
    if not root.is_dir():
        raise SourceProblemError("is not a folder", "check the source's path")
    return [status.st_dev, status.st_ino]


def _away(error: OSError) -> SourceProblemError:
    if isinstance(error, FileNotFoundError):
        return SourceProblemError("is not there: there is no such folder", "it is read as soon as it appears")
    return SourceProblemError(f"cannot be reached: {error.strerror}", "check the rights of its folders")


def _state(path: Path) -> FileState | None:
    try:
        return state_of(path.stat())
    except OSError:
        return None


def _entry_state(entry: os.DirEntry[str]) -> FileState | None:
    try:
        return state_of(entry.stat())
    except OSError:
        return None
