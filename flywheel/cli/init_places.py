"""Where `flywheel init` looks: the usual places of agents' records, and folders searched only so deep and so far."""

import os
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from flywheel.sources.fleets import PATTERN

HOME_DEPTH = 3  # ~/code/shop/.clean_room and ~/code/team/shop/.clean_room
HERE_DEPTH = 2
MOST_FOLDERS = 4000
MOST_FILES = 200
_ROOM = ".clean_room"
_DATABASES = (".db", ".sqlite", ".sqlite3")
_MAGIC = b"SQLite format 3\x00"
_SKIPPED = frozenset({
    "node_modules", "venv", "site-packages", "__pycache__", "target", "build", "dist", "vendor", "Library",
    "proc", "sys", "dev", "run", "snap",
})  # fmt: skip
_RUNS = PATTERN.partition("*")[0]


class Place(NamedTuple):
    """A path that may hold an agent's record; `sure` where an agent is known to keep one."""

    path: Path
    sure: bool


def opencode_places(environment: Mapping[str, str], home: Path) -> Iterator[Place]:
    """Yield opencode's own databases; where there is none, the folder that older versions write."""
    data = _opencode(environment, home)
    named = environment.get("OPENCODE_DB", "")
    if named and named != ":memory:":
        yield Place(data / named, sure=True)
    found = [path for path in _names(data) if path.name.startswith("opencode") and path.suffix == ".db"]
    yield from (Place(path, sure=True) for path in found)
    if not found and (data / "storage").is_dir():
        yield Place(data, sure=True)


def planned_opencode(environment: Mapping[str, str], home: Path) -> Path | None:
    """Return where opencode will begin its database, where the program is here; None where it is not."""
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "opencode"
    installed = shutil.which("opencode", path=environment.get("PATH", "")) or (home / ".opencode" / "bin").is_dir()
    return _opencode(environment, home) / "opencode.db" if installed or config.is_dir() else None


def usual_places(home: Path) -> Iterator[Place]:
    """Yield where other agents keep their record."""
    events = home / ".punie" / "events"
    if events.is_dir():
        yield Place(events, sure=True)


def searched(roots: Iterable[tuple[Path, int]]) -> Iterator[Place]:
    """Yield what may be an agent's record below these folders, each searched so deep; on one file system, no links."""
    left = MOST_FILES
    for folder in _walk(roots):
        for path in _records(folder, list(_names(folder))):
            if left == 0:
                return
            left -= 1
            yield Place(path, sure=False)


def roots(home: Path, here: Path) -> list[tuple[Path, int]]:
    """Return the folders that are searched where a person names none; a whole disk is never one of them."""
    found = [(here, HERE_DEPTH), (home, HOME_DEPTH)]
    return [(path, depth) for path, depth in found if path != Path(path.anchor)]


def _walk(roots: Iterable[tuple[Path, int]]) -> Iterator[Path]:
    """Yield folders, the nearest first, each once; no more than `MOST_FOLDERS`."""
    seen: set[tuple[int, int]] = set()
    waiting: deque[tuple[Path, int, int | None]] = deque((root, depth, None) for root, depth in roots)
    while waiting and len(seen) < MOST_FOLDERS:
        folder, depth, device = waiting.popleft()
        try:
            status = folder.stat()
        except OSError:
            continue
        here = (status.st_dev, status.st_ino)
        if device in {None, status.st_dev} and (here not in seen or device is None):
            seen.add(here)
            yield folder
            waiting.extend((path, depth - 1, status.st_dev) for path in (_below(folder) if depth else ()))


def _records(folder: Path, names: Iterable[Path]) -> Iterator[Path]:
    if (folder / _ROOM / "raw.sqlite").is_file():
        yield folder / _ROOM / "raw.sqlite"
    if any(path.name.startswith(_RUNS) and path.suffix == ".jsonl" for path in names):
        yield folder
    yield from (path for path in names if path.suffix in _DATABASES and _is_database(path))


def _below(folder: Path) -> Iterator[Path]:
    for path in _names(folder):
        if not path.name.startswith(".") and path.name not in _SKIPPED and not path.is_symlink() and path.is_dir():
            yield path


def _is_database(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def _names(folder: Path) -> Iterator[Path]:
    """Yield what lies in a folder, in the order of names; nothing where it may not be listed."""
    try:
        with os.scandir(folder) as found:
            yield from sorted(Path(one.path) for one in found)
    except OSError:
        return


def _opencode(environment: Mapping[str, str], home: Path) -> Path:
    return Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share") / "opencode"
