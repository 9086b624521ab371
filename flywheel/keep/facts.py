"""Looks at what lies in a home that might go, and at what speaks for it: tidying's readings."""

import os
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlmodel import Session

from flywheel.core.clocks import Clock
from flywheel.keep.inventories import RESULT, place_of
from flywheel.keep.restorations import ASIDE
from flywheel.keep.situations import Leaving, Retention, Situation
from flywheel.proc.children import is_busy
from flywheel.store.holdings import Holding
from flywheel.store.keepings import (
    OldWork,
    has_open_imports,
    known_folders,
    old_adapters,
    old_datasets,
    old_works,
)
from flywheel.store.requests import open_requests
from flywheel.store.stores import Store

_MADE_AGAIN = ("out/checkpoints", "out/adapter", "out/model")  # published elsewhere, or of no use once a run has ended
_HASH = 64
_IMPORTS, _TRIALS = "imports", "trials"


class Looks:
    """Reads a home and its store into a `Situation`."""

    def __init__(
        self, store: Store, clock: Clock, home: Path, retention: Retention, fused: Collection[str] = ()
    ) -> None:
        """Look at this home; `fused` are the adapters that bases rest on."""
        self._store = store
        self._clock = clock
        self._home = home
        self._retention = retention
        self._fused = fused

    def asked(self) -> Situation:
        """Return who asked, without looking at the disk."""
        with self._store.read() as session:
            wishes = tuple(open_requests(session, "tidy"))
        return Situation(now=self._clock.now(), retention=self._retention, asked=wishes)

    def whole(self) -> Situation:
        """Return everything that might go."""
        with self._store.read() as session:
            found = [
                *self._works(session),
                *self._adapters(session),
                *self._datasets(session),
                *self._remains(session),
            ]
        found += [*self._trials(), *self._asides()]
        found.sort(key=lambda one: (one.kind, one.since, one.name))
        return self.asked().model_copy(update={"leavings": tuple(found)})

    def _works(self, session: Session) -> Iterator[Leaving]:
        for work in old_works(session):
            place = place_of(Holding(kind="work", name=work.id, line=work.line, place=work.folder), self._home)
            folder = self._home / place
            there = tuple(f"{place}/{name}" for name in _MADE_AGAIN if (folder / name).is_dir())
            if there:
                yield self._leaving("checkpoints", work.id, there, folder / RESULT, work.line,
                                    needed=_in_progress(work, folder))  # fmt: skip

    def _adapters(self, session: Session) -> Iterator[Leaving]:
        for one in old_adapters(session, self._fused):
            held = Holding(kind="adapter", name=one.leftover.name, line="", place=one.leftover.adapter.path)
            place = place_of(held, self._home)
            yield Leaving(kind="adapter", name=one.leftover.name, line=one.leftover.adapter.line, places=(place,),
                          size=self._size(place), since=one.since, needed=one.leftover.kept)  # fmt: skip

    def _datasets(self, session: Session) -> Iterator[Leaving]:
        for one in old_datasets(session):
            place = f"datasets/{one.hash}"
            if (self._home / place).is_dir():
                yield Leaving(kind="dataset", name=one.hash, line=one.line, places=(place,), size=self._size(place),
                              since=one.since, needed=one.needed)  # fmt: skip

    def _remains(self, session: Session) -> Iterator[Leaving]:
        """Yield what a crash left: half-written folders and files, and whole ones that no row speaks of."""
        known = known_folders(session)
        for room in ("datasets", "suites"):
            for path in _entries(self._home / room):
                if path.name.startswith(".") or (len(path.name) == _HASH and path.name not in known):
                    yield self._leaving("remains", f"{room}/{path.name}", (f"{room}/{path.name}",), path)
        for path in [*_entries(self._home / "reports"), *(self._home / "adapters").glob("*/.*")]:
            name = path.relative_to(self._home).as_posix()
            if path.name.startswith("."):
                yield self._leaving("remains", name, (name,), path)
        needed = "a request to import waits" if has_open_imports(session) else ""
        for path in _entries(self._home / _IMPORTS):
            name = f"{_IMPORTS}/{path.name}"
            yield self._leaving("remains", name, (name,), path, needed=needed)

    def _trials(self) -> Iterator[Leaving]:
        for path in sorted((self._home / _TRIALS).glob("*/*")):
            name = path.relative_to(self._home).as_posix()
            yield self._leaving("trial", name, (name,), path)

    def _asides(self) -> Iterator[Leaving]:
        for path in sorted(self._home.glob(f"{ASIDE}*")):
            needed = "a restore moved it aside: delete it yourself when nothing in it is missed"
            yield self._leaving("aside", path.name, (path.name,), path, needed=needed)

    def _leaving(
        self, kind: str, name: str, places: tuple[str, ...], dated: Path, line: str = "", *, needed: str = ""
    ) -> Leaving:
        size = sum(self._size(place) for place in places)
        since = _newest(dated if dated.exists() else self._home / places[0])
        return Leaving.model_validate(
            {"kind": kind, "name": name, "line": line, "places": places, "size": size, "since": since, "needed": needed}
        )

    def _size(self, place: str) -> int:
        path = self._home / place
        files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file() and not one.is_symlink()]
        return sum(_bytes(one) for one in files)


def _in_progress(work: OldWork, folder: Path) -> str:
    if not work.ended:
        return f"{work.kind} is in progress"
    return "a process is at work in it" if is_busy_there(folder) else ""


def is_busy_there(folder: Path) -> bool:
    """Tell whether a process holds the folder's lock, without making one where there is none."""
    return (folder / "lock").is_file() and is_busy(folder)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _newest(path: Path) -> datetime:
    """Return when something was last changed: a folder, when anything in it was."""
    times = [_changed(path)]
    if path.is_dir():
        times += [_changed(Path(root)) for root, _, _ in os.walk(path)]
    return datetime.fromtimestamp(max(times), UTC)


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
