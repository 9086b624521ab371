"""Which files of a home are worth keeping, and what each of them must be.

A row is written after the folder it speaks of, and the folder never changes: what a copy of the store speaks of can be
read after the copy was made, however much is added meanwhile.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from flywheel.core.frozen import Frozen
from flywheel.keep.snapshots import SETTINGS
from flywheel.store.holdings import Holding

MANIFEST, PROBLEMS, RESULT = "manifest.json", "problems.jsonl", "out/result.json"
_ROOMS = {"adapter": "adapters", "work": "runs"}
_LOOSE = ("routing.json", "gateway-keys.json", "server.token", "web.token")  # files of the home that no row speaks of
_FUSED = "bases"
_REDONE = ("out/checkpoints/", "out/adapter/", "out/model/")  # published elsewhere, or made again
_LARGEST_RECORD = 64 << 20


class Site(Frozen):
    """A home on this machine: its folder, the file of its store, and what its operator wrote."""

    home: Path
    store: Path
    settings: Path | None = None
    policies: Path | None = None


class Item(NamedTuple):
    """A file to keep: its name in the backup, where it lies, and the hash it must have, where that is known."""

    path: str
    source: Path
    sha256: str = ""
    of: str = ""


def place_of(holding: Holding, home: Path) -> str:
    """Return where a holding lies, below the home; one that was written down elsewhere goes by the end of its path."""
    path = Path(holding.place)
    if not path.is_absolute():
        return holding.place if holding.kind != "adapter" else f"adapters/{holding.place}".replace("//", "/")
    for folder in (home.absolute(), home.resolve()):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    room = _ROOMS.get(holding.kind, "")
    parts = path.parts
    start = len(parts) - 1 - parts[::-1].index(room) if room in parts else len(parts) - 1
    return "/".join(parts[start:])


def items_of(holding: Holding, home: Path) -> list[Item]:
    """Return the files of one holding."""
    place = place_of(holding, home)
    folder = home / place
    if holding.kind == "report":
        return [Item(place, folder, of=place)]
    if holding.kind == "work":
        return [Item(f"{place}/{name}", folder / name, of=place) for name in _records(holding, folder)]
    files = dict(holding.files) if holding.kind != "suite" else {PROBLEMS: _promised(folder)}
    return [Item(f"{place}/{name}", folder / name, digest, place) for name, digest in {**files, MANIFEST: ""}.items()]


def loose_items(site: Site) -> Iterator[Item]:
    """Yield what no row speaks of: how the gateway stands, fused bases, settings and policies."""
    for name in _LOOSE:
        if (site.home / name).is_file():
            yield Item(name, site.home / name)
    yield from _below(site.home / _FUSED, _FUSED)
    if site.settings is not None and site.settings.is_file():
        yield Item(_own(site.settings, site.home, f"{SETTINGS}/flywheel.toml"), site.settings)
    if site.policies is not None:
        yield from _below(site.policies, _own(site.policies, site.home, f"{SETTINGS}/policies"))


def _own(path: Path, home: Path, other: str) -> str:
    """Return the place below the home of what lies there, and another for the rest."""
    found, home = path.resolve(), home.resolve()
    return found.relative_to(home).as_posix() if found.is_relative_to(home) and found != home else other


def _below(folder: Path, name: str) -> Iterable[Item]:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not _hidden(path, folder))
    return [Item(f"{name}/{path.relative_to(folder).as_posix()}", path) for path in found]


def _records(holding: Holding, folder: Path) -> Iterator[str]:
    """Yield what tells of long work: of work under way its orders, of ended work that nobody saw to yet everything."""
    under_way = holding.open and not (folder / RESULT).is_file()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or name == "lock" or _hidden(path, folder) or "/checkpoints/" in f"/{name}":
            continue
        if under_way and ("/" in name or not name.endswith(".json")):
            continue
        if holding.open or not (name.startswith(_REDONE) or path.stat().st_size > _LARGEST_RECORD):
            yield name


def _promised(folder: Path) -> str:
    """Return the hash that a suite's manifest promises of its problems; empty where it cannot be read."""
    try:
        return str(json.loads((folder / MANIFEST).read_bytes())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)
