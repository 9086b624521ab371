"""Backs a home up while everything runs: the store as it is at one moment, then whatever that copy speaks of.

What is deleted meanwhile, because a person asked, lets the backup begin again with a newer copy. A backup is there when
every part of it was read back and found to be what its name says.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from flywheel import __version__
from flywheel.core.clocks import Clock
from flywheel.core.errors import CorruptError, UnavailableError
from flywheel.keep.inventories import Item, Site, items_of, loose_items, place_of
from flywheel.keep.shelves import FolderShelf, TarShelf, look_through
from flywheel.keep.snapshots import BESIDE, STORE, Kept, Snapshot, keep
from flywheel.store.copies import copy_sqlite, faults, settle
from flywheel.store.holdings import Holding, holdings
from flywheel.store.ledger import last_event
from flywheel.store.stores import Store, make_engine, sqlite_url

_TRIES = 5


class _Moment(NamedTuple):
    """The store at one moment: its copy, what it speaks of, the last number of its ledger."""

    store: Path
    holdings: list[Holding]
    events: int


def back_up(site: Site, store: Store, shelf: FolderShelf | TarShelf, clock: Clock) -> Snapshot:
    """Keep the home as it is now; return what was kept. Call it within `shelf.writing()`."""
    shutil.rmtree(shelf.staging, ignore_errors=True)  # a killed backup left it
    shelf.staging.mkdir(mode=0o700)
    try:
        for _ in range(_TRIES):
            snapshot = _try(site, store, shelf, clock)
            if snapshot is not None:
                shelf.finish(snapshot)
                return snapshot
    finally:
        shutil.rmtree(shelf.staging, ignore_errors=True)
    raise UnavailableError("the home changes faster than it can be kept", "try again")


def _try(site: Site, store: Store, shelf: FolderShelf | TarShelf, clock: Clock) -> Snapshot | None:
    """Keep one moment; None when something it speaks of was deleted meanwhile."""
    moment = _copy(site, shelf.staging)
    files, damaged = [keep(moment.store, STORE, shelf.put)], set[str]()
    for holding in moment.holdings:
        for item in items_of(holding, site.home):
            kept = _kept(item, shelf)
            if kept is not None:
                files.append(kept)
            if kept is None or item.sha256 not in {"", kept.sha256}:
                damaged.add(place_of(holding, site.home))
    if damaged and _given_up(damaged, store, site.home):
        return None
    files += [kept for item in _rest(site, shelf.staging) if (kept := _kept(item, shelf)) is not None]
    now = clock.now()
    snapshot = Snapshot(id=_free(f"{now:%Y%m%dT%H%M%SZ}", shelf), at=now, version=__version__,
                        home=str(site.home.absolute()), events=moment.events, files=tuple(files),
                        damaged=tuple(sorted(damaged)))  # fmt: skip
    return snapshot if _proven(snapshot, shelf) else None


def _copy(site: Site, staging: Path) -> _Moment:
    copy = staging / STORE
    copy.unlink(missing_ok=True)
    copy_sqlite(site.store, copy)
    if found := faults(copy):
        raise CorruptError(f"the store is damaged: {found[0]}", "restore a backup: `flywheel restore`")
    with Store(make_engine(sqlite_url(copy))) as store, store.read() as session:
        last = last_event(session)
        moment = _Moment(copy, holdings(session), (last.seq or 0) if last else 0)
    settle(copy)
    return moment


def _rest(site: Site, staging: Path) -> Iterable[Item]:
    """Return what no row speaks of. Databases are copied after the store: what that has read of them is there."""
    found = list(loose_items(site))
    for name in BESIDE:
        if (site.home / name).is_file():
            copy = staging / name
            copy.unlink(missing_ok=True)
            copy_sqlite(site.home / name, copy)
            found.append(Item(name, copy))
    return found


def _kept(item: Item, shelf: FolderShelf | TarShelf) -> Kept | None:
    try:
        return keep(item.source, item.path, shelf.put)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise UnavailableError(f"{item.source} cannot be read", "back up as the daemon's user") from error


def _given_up(damaged: Iterable[str], store: Store, home: Path) -> bool:
    """Tell whether the store has meanwhile stopped to speak of any of these."""
    with store.read() as session:
        still = {place_of(holding, home) for holding in holdings(session)}
    return not still.issuperset(damaged)


def _proven(snapshot: Snapshot, shelf: FolderShelf | TarShelf) -> bool:
    """Read every part back; a damaged one that lay there from before is taken away, to be written again."""
    if isinstance(shelf, TarShelf):
        return True  # what is being written is read back when it has its end
    bad = look_through(snapshot.parts, shelf)
    for part in bad:
        shelf.drop_part(part)
    return not bad


def _free(name: str, shelf: FolderShelf | TarShelf) -> str:
    taken = set(shelf.ids())
    names = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 3))]
    return next(one for one in names if one not in taken)
