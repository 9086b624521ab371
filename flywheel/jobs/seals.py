"""Seals: a folder is whole when its manifest says so, because the manifest reaches the disk last."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

MANIFEST = "manifest.json"


def sha256(path: Path) -> str:
    """Return the digest of one file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync(path: Path) -> None:
    """Let what `path`, a file or a folder, holds now survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_last(path: Path, text: str) -> None:
    """Let `path` hold either what it held before or the whole new text, whenever the machine stops."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fsync(fresh)
    fresh.replace(path)
    fsync(path.parent)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)


def seal(folder: Path) -> None:
    """Put every file of `folder` on the disk, and only then the manifest that names them all."""
    digests = {}
    for path in _files(folder):
        fsync(path)
        digests[path.relative_to(folder).as_posix()] = sha256(path)
    for inner in {path.parent for path in _files(folder)}:
        fsync(inner)
    write_last(folder / MANIFEST, json.dumps({"files": digests}, indent=1, sort_keys=True) + "\n")


def is_whole(folder: Path) -> bool:
    """Whether `folder` is sealed and holds exactly the files of its manifest, unchanged."""
    try:
        digests = json.loads((folder / MANIFEST).read_text())["files"]
        found = {path.relative_to(folder).as_posix() for path in _files(folder)}
        return found == set(digests) and all(sha256(folder / name) == digests[name] for name in digests)
    except (OSError, ValueError, KeyError, TypeError):
        return False
