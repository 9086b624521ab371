"""Where backups stand: a folder that shares equal parts among its backups, or one tar file a backup.

A folder holds `parts/ab/<hash>` and `backups/<id>.json`. What a backup needs is there before its `.json`: a kill at any
moment leaves the backups of before, and parts that the next one uses or that `tidy` takes away.
"""

import fcntl
import io
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from flywheel.core.errors import ConflictError, CorruptError, MisuseError, ResourceError
from flywheel.core.steps import Steps
from flywheel.keep.snapshots import FORMAT, Snapshot, checked
from flywheel.proc.files import sync_folder, write_file

TAR = ".tar"
_BACKUPS, _PARTS, _LOCK = "backups", "parts", "lock"
_ID = re.compile(r"\d{8}T\d{6}Z(-\d+)?")
_HASH = re.compile(r"[0-9a-f]{64}")


class Shelf(Protocol):
    """Parts under their hashes, and backups that name them."""

    def ids(self) -> list[str]:
        """Return the backups there are, oldest first."""
        ...

    def snapshot(self, name: str) -> Snapshot:
        """Return what a backup holds."""
        ...

    def has(self, digest: str) -> bool:
        """Tell whether a part is there."""
        ...

    def put(self, digest: str, data: bytes) -> None:
        """Keep a part."""
        ...

    def get(self, digest: str) -> bytes:
        """Return a part as it lies there."""
        ...

    def finish(self, snapshot: Snapshot) -> None:
        """Let a backup be there: everything it needs is."""
        ...


class FolderShelf:
    """A folder with any number of backups."""

    def __init__(self, folder: Path, steps: Steps | None = None) -> None:
        """Use this folder; nothing is made yet."""
        self.folder = folder
        self._steps = steps or Steps()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only one that writes here; CorruptError for a folder that is something else."""
        if self.folder.is_dir() and any(self.folder.iterdir()) and not (self.folder / _BACKUPS).is_dir():
            raise MisuseError(f"{self.folder} holds something that is no backup", "name an empty folder")
        with _room():
            (self.folder / _BACKUPS).mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            (self.folder / _PARTS).mkdir(mode=0o700, exist_ok=True)
            lock = (self.folder / _LOCK).open("ab")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConflictError(f"another backup is written to {self.folder}", "wait for its end") from error
            yield

    def ids(self) -> list[str]:
        """Return the backups there are, oldest first."""
        found = (path.stem for path in (self.folder / _BACKUPS).glob("*.json"))
        return sorted(name for name in found if _ID.fullmatch(name))

    def snapshot(self, name: str) -> Snapshot:
        """Return what a backup holds."""
        try:
            return parsed((self.folder / _BACKUPS / f"{name}.json").read_bytes(), name)
        except OSError as error:
            raise CorruptError(f"backup {name} cannot be read: {error.strerror}", "use another one") from error

    def has(self, digest: str) -> bool:
        """Tell whether a part is there."""
        return self._part(digest).is_file()

    def put(self, digest: str, data: bytes) -> None:
        """Keep a part; one that is there is not written again."""
        if not self.has(digest):
            self._steps.reached(f"before part {digest}")
            with _room():
                write_file(self._part(digest), data, mode=0o600)

    def get(self, digest: str) -> bytes:
        """Return a part as it lies there."""
        try:
            return self._part(digest).read_bytes()
        except OSError as error:
            raise CorruptError(f"part {digest[:12]} of the backup is missing", "use another backup") from error

    def drop_part(self, digest: str) -> None:
        """Take a damaged part away, so that it is written again."""
        self._part(digest).unlink(missing_ok=True)

    def finish(self, snapshot: Snapshot) -> None:
        """Let a backup be there."""
        sync_folder(self.folder / _PARTS)
        self._steps.reached("before the backup")
        with _room():
            write_file(self.folder / _BACKUPS / f"{snapshot.id}.json", written(snapshot), mode=0o600)
        self._steps.reached("after the backup")

    def tidy(self, kept: int) -> list[str]:
        """Let go of all but the newest backups, and of parts that none of those needs; return what went."""
        gone = self.ids()[:-kept] if kept else []
        needed = frozenset(part for name in self.ids() if name not in gone for part in self.snapshot(name).parts)
        for name in gone:
            self._steps.reached(f"before dropping {name}")
            (self.folder / _BACKUPS / f"{name}.json").unlink(missing_ok=True)
        sync_folder(self.folder / _BACKUPS)  # first the backups, then what only they needed
        for path in (self.folder / _PARTS).glob("*/*"):
            if path.name not in needed:
                self._steps.reached(f"before dropping part {path.name}")
                path.unlink(missing_ok=True)
        return gone

    @property
    def staging(self) -> Path:
        """Return where copies of databases are made."""
        return self.folder / ".copy"

    def _part(self, digest: str) -> Path:
        if not _HASH.fullmatch(digest):
            raise CorruptError(f"the backup names a part that is none: {digest[:20]!r}", "use another backup")
        return self.folder / _PARTS / digest[:2] / digest


class TarShelf:
    """One backup in one file. It appears under its name when it is whole."""

    def __init__(self, file: Path, steps: Steps | None = None) -> None:
        """Read this file, or write it within `writing`."""
        self.file = file
        self._steps = steps or Steps()
        self._tar: tarfile.TarFile | None = None
        self._known: dict[str, tarfile.TarInfo] = {}

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write the file; only a whole one gets its name, and nothing that is there is written over."""
        if os.path.lexists(self.file):
            raise MisuseError(f"{self.file} is there already", "choose another name")
        with _room():
            self.file.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.file.with_name(f".{self.file.name}.new")
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w+b") as raw, tarfile.open(fileobj=raw, mode="w") as self._tar:
                yield
                self._tar.close()
                raw.flush()
                os.fsync(raw.fileno())
            self._tar = None
            _prove(temporary)
            self._steps.reached("before the backup")
            temporary.rename(self.file)
            sync_folder(self.file.parent)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read the file; CorruptError for one that is no backup."""
        self._tar = self._opened()
        with self._tar:
            yield
        self._tar = None

    def ids(self) -> list[str]:
        """Return the one backup there is."""
        found = (name.removeprefix(f"{_BACKUPS}/").removesuffix(".json") for name in self._known if "/" in name)
        return sorted(name for name in found if _ID.fullmatch(name))

    def snapshot(self, name: str) -> Snapshot:
        """Return what it holds."""
        return parsed(self._read(f"{_BACKUPS}/{name}.json"), name)

    def has(self, digest: str) -> bool:
        """Tell whether a part is there."""
        return f"{_PARTS}/{digest}" in self._known

    def put(self, digest: str, data: bytes) -> None:
        """Add a part."""
        if not self.has(digest):
            self._steps.reached(f"before part {digest}")
            self._add(f"{_PARTS}/{digest}", data)

    def get(self, digest: str) -> bytes:
        """Return a part as it lies there."""
        return self._read(f"{_PARTS}/{digest}")

    def finish(self, snapshot: Snapshot) -> None:
        """Add what the backup holds."""
        self._add(f"{_BACKUPS}/{snapshot.id}.json", written(snapshot))

    @property
    def staging(self) -> Path:
        """Return where copies of databases are made, beside the file."""
        return self.file.with_name(f".{self.file.name}.copy")

    def _opened(self) -> tarfile.TarFile:
        try:
            tar = tarfile.open(self.file)  # noqa: SIM115 - `reading` closes it
            self._known = {member.name: member for member in tar.getmembers() if member.isfile()}
        except (OSError, tarfile.TarError) as error:
            raise CorruptError(f"{self.file} cannot be read: {error}", "use another backup") from error
        return tar

    def _add(self, name: str, data: bytes) -> None:
        assert self._tar is not None
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(data), 0o600
        self._tar.addfile(member, io.BytesIO(data))
        self._known[name] = member

    def _read(self, name: str) -> bytes:
        assert self._tar is not None
        member = self._known.get(name)
        file = self._tar.extractfile(member) if member is not None else None
        if file is None:
            raise CorruptError(f"{name} is missing in {self.file}", "use another backup")
        with file:
            return file.read()


def written(snapshot: Snapshot) -> bytes:
    """Return a backup's description as it is kept."""
    return snapshot.model_dump_json(indent=1).encode() + b"\n"


def parsed(data: bytes, name: str) -> Snapshot:
    """Return a backup's description; CorruptError for one that cannot be read, or of a newer flywheel."""
    try:
        found = Snapshot.model_validate_json(data)
    except ValidationError as error:
        reason = f"backup {name} cannot be read: {error.errors()[0]['msg']}"
        raise CorruptError(reason, "use another one, or a newer flywheel") from error
    if found.format != FORMAT:
        raise CorruptError(f"backup {name} has format {found.format}", "install the flywheel that wrote it")
    return found


@contextmanager
def shelf_at(place: Path) -> Iterator[Shelf]:
    """Give the shelf at a place, to read from."""
    if place.is_file():
        tar = TarShelf(place)
        with tar.reading():
            yield tar
        return
    shelf = FolderShelf(place)
    if not (place / _BACKUPS).is_dir():
        raise MisuseError(f"there is no backup at {place}", "name a folder or file that `flywheel backup` wrote")
    yield shelf


def look_through(parts: Iterable[str], shelf: Shelf) -> list[str]:
    """Return which of these parts are missing or damaged."""
    bad = []
    for part in sorted(parts):
        try:
            checked(part, shelf.get(part))
        except CorruptError:
            bad.append(part)
    return bad


def _prove(file: Path) -> None:
    """Read a file back that was just written."""
    shelf = TarShelf(file)
    with shelf.reading():
        if any(look_through(shelf.snapshot(name).parts, shelf) for name in shelf.ids()) or not shelf.ids():
            raise CorruptError(f"{file} was not written as it should be", "check the disk it is on")


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = f"the backup cannot be written: {error.strerror or error}"
        raise ResourceError(reason, "see to the space and the permissions where it goes") from error
