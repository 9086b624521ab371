"""Writing so that a kill at any moment leaves the old, the new, or nothing: never half."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flywheel.core.ids import bytes_hash

_CHUNK = 1 << 20


def file_hash(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return bytes_hash(iter(lambda: file.read(_CHUNK), b""))


def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file whole: temporary sibling, fsync, rename, fsync of the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.chmod(mode)
    temporary.rename(path)
    sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole."""
    write_file(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n")


@contextmanager
def publish_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder to fill; at the end it becomes `target`, whole, or nothing does."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    yield temporary
    for path in sorted(temporary.rglob("*")):
        if path.is_file():
            path.chmod(0o644)  # the model server may run as another user
            _sync_file(path)
        elif path.is_dir():
            path.chmod(0o755)
            sync_folder(path)
    temporary.chmod(0o755)
    sync_folder(temporary)
    if target.exists():
        shutil.rmtree(temporary)
        return
    temporary.rename(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make a folder's names survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
