"""Puts a backup back: everything is written beside what is there and proven, and only then takes its place.

The folder `.restoring` says that a restore is under way; from the moment its `whole.json` is there the daemon does not
start until the restore was ended. Nothing that was there is deleted: it moves to a folder of its own.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from flywheel.core.errors import ConflictError, CorruptError, MisuseError, ResourceError
from flywheel.core.frozen import Frozen
from flywheel.core.steps import Steps
from flywheel.keep.inventories import Site
from flywheel.keep.shelves import Shelf
from flywheel.keep.snapshots import STORE, Kept, Snapshot, bring_back, wanted
from flywheel.proc.files import sync_folder, write_json
from flywheel.store.copies import faults, forgotten_since, move_home, settle
from flywheel.store.stores import open_store, sqlite_url

STAGE = ".restoring"
ASIDE = "before-"
_NEW, _WHOLE = "new", "whole.json"
_STAYS = frozenset({STAGE, "daemon.lock"})
_DEPTH = {"datasets": 2, "suites": 2, "adapters": 3, "reports": 2}  # how deep lies what comes back by itself
_WAL = ("-wal", "-shm", "-journal")


class _Plan(Frozen):
    """What a restore that was proven whole is about to do: it can be ended after a kill."""

    backup: str
    names: tuple[str, ...]
    aside: str


class Restored(Frozen):
    """What a restore did; `aside` is the folder that what was there moved to, empty where nothing was.

    `forgotten` counts what was forgotten, as the store of before knows, after the backup was made: it is back.
    """

    backup: str
    files: int
    size: int
    aside: str = ""
    forgotten: int = 0


def occupied(home: Path) -> list[str]:
    """Return what lies in a home, leaving aside what a daemon or an interrupted restore leaves in an empty one."""
    there = sorted(path.name for path in home.iterdir() if not path.is_socket()) if home.is_dir() else []
    return [name for name in there if name not in _STAYS and not name.startswith(ASIDE)]


def refuse_half_restored(home: Path) -> None:
    """Raise ConflictError for a home whose restore was interrupted."""
    if (home / STAGE / _WHOLE).exists():
        raise ConflictError(f"a restore of {home} was interrupted", "run the same `flywheel restore` again")


def restore(shelf: Shelf, snapshot: Snapshot, site: Site, steps: Steps, *, force: bool = False) -> Restored:
    """Put a whole backup back into an empty home, or with `force` in the place of what is there."""
    under_way = _under_way(site.home)
    if under_way is not None and under_way.backup != snapshot.id:
        reason = f"a restore of backup {under_way.backup} was interrupted"
        raise ConflictError(reason, f"end it first: --backup {under_way.backup}")
    if under_way is None:
        taken = occupied(site.home) or _elsewhere(site)
        if taken and not force:
            raise MisuseError(f"{site.home} is not empty: {', '.join(taken[:3])}", "--force moves it aside, whole")
        under_way = _stage(shelf, snapshot, site, steps)
    forgotten = forgotten_since(site.store, snapshot.events)
    aside = _take_place(site, under_way, steps)
    return Restored(backup=snapshot.id, files=len(snapshot.files), size=snapshot.size, aside=aside,
                    forgotten=forgotten)  # fmt: skip


def restore_some(shelf: Shelf, snapshot: Snapshot, home: Path, only: Sequence[str]) -> Restored:
    """Put folders or files back that no row may contradict: what bears its own hash. What is there moves aside."""
    refuse_half_restored(home)
    files = wanted(snapshot, only)
    if not files:
        raise MisuseError(f"backup {snapshot.id} holds nothing at {', '.join(only)}", "see `flywheel restore --list`")
    if loose := [
        file.path for file in files if not file.path.startswith(("datasets/", "suites/", "adapters/", "reports/"))
    ]:
        raise MisuseError(f"{loose[0]} comes back with the whole home only", "leave --only out")
    stage = home / STAGE
    _fresh(stage)
    _write(shelf, files, stage / _NEW)
    _hand_over(stage / _NEW, home)
    aside = ""
    for place in sorted({"/".join(file.path.split("/")[: _DEPTH[file.path.split("/")[0]]]) for file in files}):
        target = home / place
        if target.exists():
            aside = aside or _name_aside(home, snapshot.id)
            (home / aside / place).parent.mkdir(parents=True, exist_ok=True)
            target.rename(home / aside / place)
        target.parent.mkdir(parents=True, exist_ok=True)
        (stage / _NEW / place).rename(target)
        sync_folder(target.parent)
    shutil.rmtree(stage)
    return Restored(backup=snapshot.id, files=len(files), size=sum(file.size for file in files), aside=aside)


def _stage(shelf: Shelf, snapshot: Snapshot, site: Site, steps: Steps) -> _Plan:
    """Write everything beside what is there, and prove it; from its last line on the restore goes through."""
    stage = site.home / STAGE
    _fresh(stage)
    steps.reached("before writing")
    _write(shelf, snapshot.files, stage / _NEW)
    steps.reached("after writing")
    _prove_store(stage / _NEW / STORE, Path(snapshot.home), site.home.absolute())
    _hand_over(stage / _NEW, site.home)
    names = tuple(sorted(path.name for path in (stage / _NEW).iterdir()))
    plan = _Plan(backup=snapshot.id, names=names, aside=_name_aside(site.home, snapshot.id))
    write_json(stage / _WHOLE, plan.model_dump(mode="json"))
    steps.reached("proven")
    return plan


def _write(shelf: Shelf, files: Sequence[Kept], target: Path) -> None:
    try:
        for file in files:
            bring_back(file, shelf.get, target / _safe(file.path))
        for path in sorted(target.rglob("*"), reverse=True):
            if path.is_dir():
                path.chmod(0o755)  # the model server may run as another user; the home itself says who gets that far
            sync_folder(path)  # the same call makes a file's bytes durable
    except OSError as error:
        raise ResourceError(f"the backup cannot be put back: {error.strerror}", "free disk space") from error


def _safe(path: str) -> Path:
    """Return a kept file's place; a backup that was tampered with never writes elsewhere."""
    found = Path(path)
    if found.is_absolute() or ".." in found.parts or not found.parts:
        raise CorruptError(f"the backup names a file outside the home: {path!r}", "use another backup")
    return found


def _prove_store(store: Path, old: Path, new: Path) -> None:
    if not store.is_file():
        raise CorruptError("the backup holds no store", "use another backup")
    if found := faults(store):
        raise CorruptError(f"the store of the backup is damaged: {found[0]}", "use another backup")
    open_store(sqlite_url(store)).close()  # one of a newer flywheel is refused here, before anything has moved
    if old != new:
        move_home(store, old, new)
    settle(store)


def _hand_over(folder: Path, like: Path) -> None:
    """Let what root restores belong to whom the home belongs to: the daemon is somebody else."""
    if os.geteuid() == 0:
        owner = like.stat()
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _take_place(site: Site, plan: _Plan, steps: Steps) -> str:
    """Move what is there aside, then what was restored in, the store last; every move may have been made before."""
    new, aside = site.home / STAGE / _NEW, site.home / plan.aside
    for name in occupied(site.home):
        if name not in plan.names or (new / name).exists():
            aside.mkdir(mode=0o700, exist_ok=True)
            steps.reached(f"before {name} moves aside")
            (site.home / name).rename(aside / name)
    for name in sorted(plan.names, key=lambda name: (name == STORE, name)):
        if (new / name).exists():
            steps.reached(f"before {name} moves in")
            _move_in(site, new / name, name, plan)
    for name in _STAYS:
        if (site.home / name).is_file():
            _hand_over(site.home / name, site.home)
    sync_folder(site.home)
    steps.reached("before the end")
    (site.home / STAGE / _WHOLE).unlink()
    shutil.rmtree(site.home / STAGE)
    return str(aside) if aside.exists() else ""


def _move_in(site: Site, found: Path, name: str, plan: _Plan) -> None:
    if name != STORE or _is_at_home(site):
        found.rename(site.home / name)
        return
    for suffix in ("", *_WAL):
        old = site.store.with_name(site.store.name + suffix)
        if old.exists():
            old.rename(old.with_name(f"{plan.aside}-{old.name}"))
    site.store.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    beside = site.store.with_name(f".{site.store.name}.restored")
    shutil.copyfile(found, beside)
    beside.chmod(0o600)
    _hand_over(beside, site.store.parent)
    sync_folder(beside)
    beside.rename(site.store)
    sync_folder(site.store.parent)
    found.unlink()


def _elsewhere(site: Site) -> list[str]:
    return [] if _is_at_home(site) or not site.store.exists() else [str(site.store)]


def _is_at_home(site: Site) -> bool:
    return site.store.absolute() == site.home.absolute() / STORE


def _under_way(home: Path) -> _Plan | None:
    try:
        return _Plan.model_validate_json((home / STAGE / _WHOLE).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise CorruptError(f"{STAGE} in {home} cannot be read", "move it away and restore again") from error


def _fresh(stage: Path) -> None:
    try:
        stage.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        shutil.rmtree(stage, ignore_errors=True)
        (stage / _NEW).mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise ResourceError(f"{stage.parent} cannot be written: {error.strerror}", "check home") from error


def _name_aside(home: Path, backup: str) -> str:
    number = 1
    while os.path.lexists(home / f"{ASIDE}{backup}-{number}"):
        number += 1
    return f"{ASIDE}{backup}-{number}"
