"""Checkpoints to go on from: the trainer writes them file by file, so each is sealed and only sealed ones count."""

from __future__ import annotations

import shutil
from pathlib import Path

import seals

PREFIX = "checkpoint-"


def step_of(folder: Path) -> int:
    """Return the step that `folder` was saved at, or -1 if it is no checkpoint."""
    number = folder.name.removeprefix(PREFIX)
    return int(number) if folder.name.startswith(PREFIX) and number.isdigit() else -1


def newest_whole(root: Path) -> Path | None:
    """Return the newest checkpoint under `root` that verifies; those that do not are gone afterwards."""
    if not root.is_dir():
        return None
    whole = []
    for folder in root.iterdir():
        if step_of(folder) < 0:
            continue
        if seals.is_whole(folder):
            whole.append(folder)
        else:
            shutil.rmtree(folder)
    return max(whole, key=step_of, default=None)
