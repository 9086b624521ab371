"""`flywheel backup` and `flywheel restore`: a home kept in another place, and put back."""

from pathlib import Path
from typing import Annotated, Any

import typer

from flywheel.cli.contexts import AsJson, Config, err, out, reading, settings_of, show_json, show_table
from flywheel.core.clocks import SystemClock
from flywheel.core.errors import MisuseError
from flywheel.core.steps import Steps
from flywheel.daemon.locks import only_daemon
from flywheel.daemon.settings import Settings, find_settings
from flywheel.keep.backups import back_up
from flywheel.keep.inventories import Site
from flywheel.keep.restorations import Restored, restore, restore_some
from flywheel.keep.run import in_words
from flywheel.keep.shelves import TAR, FolderShelf, Shelf, TarShelf, shelf_at
from flywheel.keep.snapshots import SETTINGS, Snapshot

_SQLITE = "sqlite:///"

Place = Annotated[
    Path | None, typer.Argument(help="A folder, which any number of backups share; or a new file FILE.tar for one.")
]
From = Annotated[Path, typer.Argument(help="A folder or file that `flywheel backup` wrote.")]


def backup(
    place: Place = None,
    kept: Annotated[
        int | None, typer.Option("--kept", min=0, help="Keep so many of the folder's backups; 0 keeps all.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Back the home up while everything runs: store, capture, datasets, suites, adapters, reports, settings."""
    with reading(config) as (settings, store):
        target = (place or settings.keep.backups or _nowhere()).expanduser()
        site, shelf = site_of(settings, config), _shelf(target, settings)
        with shelf.writing():
            snapshot = back_up(site, store, shelf, SystemClock())
            gone = _tidy(shelf, settings.keep.backups_kept if kept is None else kept)
    _tell_backup(snapshot, target, gone, as_json)
    if snapshot.damaged:
        raise typer.Exit(1)


def restore_(
    place: From,
    name: Annotated[str, typer.Option("--backup", help="Which one; without it, the newest.")] = "",
    listed: Annotated[bool, typer.Option("--list", help="Only list the backups there are.")] = False,
    to: Annotated[Path | None, typer.Option("--to", help="Into this home instead of the settings'.")] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only this dataset, suite, adapter or report of the home.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Move aside, whole, what the home holds.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Put a backup back: into an empty home, or with --force in the place of what is there."""
    settings = settings_of(config)
    site = _target(settings, to)
    with shelf_at(place.expanduser()) as shelf:
        if listed:
            _list(shelf, as_json)
            return
        snapshot = shelf.snapshot(_chosen(shelf, name))
        if only:
            done = restore_some(shelf, snapshot, site.home, only)
        else:
            with only_daemon(site.home, f"{_SQLITE}{site.store}"):
                done = restore(shelf, snapshot, site, Steps(), force=force)
    _tell_restore(done, snapshot, site, as_json=as_json, whole=not only)


def site_of(settings: Settings, config: Path | None) -> Site:
    """Return the home of the settings with everything worth keeping."""
    found = find_settings(config)
    return Site(home=settings.home.absolute(), store=_store_file(settings), settings=found, policies=settings.policies)


def _store_file(settings: Settings) -> Path:
    url = settings.store_url
    if not url.startswith(_SQLITE):
        raise MisuseError(
            "the store is no SQLite file, and keeps its own backups",
            "dump it with its own tools (`pg_dump`), and copy the folders of the home after that",
        )
    return Path(url.removeprefix(_SQLITE))


def _target(settings: Settings, to: Path | None) -> Site:
    if to is None:
        return Site(home=settings.home.absolute(), store=_store_file(settings))
    home = to.expanduser().absolute()
    return Site(home=home, store=home / "flywheel.db")


def _shelf(target: Path, settings: Settings) -> FolderShelf | TarShelf:
    if target.absolute().is_relative_to(settings.home.absolute()):
        raise MisuseError("a backup in the home is lost with it", "name a place elsewhere, best on another disk")
    return TarShelf(target) if target.suffix == TAR else FolderShelf(target)


def _tidy(shelf: FolderShelf | TarShelf, kept: int) -> list[str]:
    return shelf.tidy(kept) if isinstance(shelf, FolderShelf) else []


def _nowhere() -> Path:
    raise MisuseError("nobody said where backups go", "name a folder, or set `backups` in [keep]")


def _chosen(shelf: Shelf, name: str) -> str:
    found = [one for one in shelf.ids() if one == name] or [one for one in shelf.ids() if one.startswith(name)]
    if not found:
        there = f"it holds {', '.join(shelf.ids()[-3:])}" if shelf.ids() else "it holds none"
        raise MisuseError(f"there is no backup {name}".rstrip(), there)
    return found[-1]


def _tell_backup(snapshot: Snapshot, target: Path, gone: list[str], as_json: bool) -> None:
    if as_json:
        show_json({**_facts(snapshot), "place": str(target), "dropped": gone})
        return
    told = f"backup {snapshot.id} in {target}: {len(snapshot.files)} files, {in_words(snapshot.size)}, "
    out.print(f"{told}every part read back; the ledger to event {snapshot.events}", markup=False)
    if gone:
        out.print(f"dropped {len(gone)} older: {', '.join(gone)}", markup=False)
    for place in snapshot.damaged:
        err.print(f"not whole in the home, and so not in the backup: {place} — see `flywheel verify`", markup=False)


def _facts(snapshot: Snapshot) -> dict[str, Any]:
    return {**snapshot.model_dump(mode="json", exclude={"files"}), "files": len(snapshot.files), "bytes": snapshot.size}


def _list(shelf: Shelf, as_json: bool) -> None:
    rows = [_facts(shelf.snapshot(name)) for name in shelf.ids()]
    if as_json:
        show_json(rows)
        return
    told = [{**row, "size": in_words(row["bytes"]), "damaged": len(row["damaged"])} for row in rows]
    show_table(f"{len(rows)} backups", ("id", "events", "files", "size", "version", "home", "damaged"), told)


def _tell_restore(done: Restored, snapshot: Snapshot, site: Site, *, as_json: bool, whole: bool) -> None:
    if as_json:
        show_json({**done.model_dump(mode="json"), "home": str(site.home)})
        return
    out.print(f"restored {done.files} files ({in_words(done.size)}) of {done.backup} to {site.home}", markup=False)
    if done.aside:
        out.print(f"what was there lies in {done.aside}", markup=False)
    if done.forgotten:
        told = f"{done.forgotten} requests to forget came after this backup: what they took is back, so ask again"
        out.print(told, markup=False)
    if whole and any(file.path.startswith(f"{SETTINGS}/") for file in snapshot.files):
        out.print(f"settings and policies as they were: {site.home / SETTINGS}", markup=False)
    if whole:
        out.print(
            "Restart the model servers before `flywheel run`: they may hold adapters of later days.", markup=False
        )
