"""What a backup says it holds: files in parts, each part under its hash; and how parts become files again."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from flywheel.core.errors import CorruptError
from flywheel.core.frozen import Frozen

PART = 1 << 20  # small enough that a database that changed a little shares most parts with its last backup
FORMAT = 1
STORE, CAPTURE = "flywheel.db", "capture.db"
BESIDE = (CAPTURE, "bootstrap.db", "teachers.db")  # the other databases of a home
SETTINGS = "settings"  # below it: the settings file and the policies as they were


class Kept(Frozen):
    """A file as it was kept."""

    path: str
    size: int
    sha256: str
    mode: int
    parts: tuple[str, ...]


class Snapshot(Frozen):
    """A home at one moment. `events` is the last number of its ledger; `damaged` was not whole when it was kept."""

    format: int = FORMAT
    id: str
    at: datetime
    version: str
    home: str
    events: int
    files: tuple[Kept, ...]
    damaged: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Return how many bytes come back."""
        return sum(file.size for file in self.files)

    @property
    def parts(self) -> frozenset[str]:
        """Return every part it needs."""
        return frozenset(part for file in self.files for part in file.parts)


def pieces(path: Path) -> Iterator[bytes]:
    """Yield a file's parts in order."""
    with path.open("rb") as file:
        while piece := file.read(PART):
            yield piece


def keep(path: Path, name: str, put: Callable[[str, bytes], None]) -> Kept:
    """Hand every part of a file to `put`; return the file as it was kept."""
    whole, parts, size = sha256(), [], 0
    for piece in pieces(path):
        whole.update(piece)
        size += len(piece)
        parts.append(sha256(piece).hexdigest())
        put(parts[-1], piece)
    return Kept(path=name, size=size, sha256=whole.hexdigest(), mode=path.stat().st_mode & 0o777, parts=tuple(parts))


def checked(digest: str, data: bytes) -> bytes:
    """Return a part that is what its name says; CorruptError for any other."""
    if sha256(data).hexdigest() != digest:
        raise CorruptError(f"part {digest[:12]} of the backup is damaged", "use another backup, or make a new one")
    return data


def bring_back(kept: Kept, get: Callable[[str], bytes], target: Path) -> None:
    """Write a kept file anew and prove that it is the one that was kept."""
    target.parent.mkdir(parents=True, exist_ok=True)
    whole = sha256()
    with target.open("xb") as file:
        for part in kept.parts:
            data = checked(part, get(part))
            whole.update(data)
            file.write(data)
    target.chmod(kept.mode)
    if whole.hexdigest() != kept.sha256:
        raise CorruptError(f"{kept.path} does not come back as it was kept", "use another backup")


def wanted(snapshot: Snapshot, only: Iterable[str]) -> list[Kept]:
    """Return the kept files at or below these places; all, where none is named."""
    places = [place.strip("/") for place in only]
    return [
        file
        for file in snapshot.files
        if not places or any(file.path == place or file.path.startswith(f"{place}/") for place in places)
    ]
