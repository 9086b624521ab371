"""The sign of life: a daemon whose loop turns leaves it, and one that hangs does not."""

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from flywheel.daemon import run as module
from flywheel.daemon.heartbeats import beat, last_beat
from flywheel.daemon.locks import NAME
from flywheel.daemon.run import Daemon


@pytest.mark.asyncio
async def test_a_loop_that_turns_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beat by beat the file's time moves, with and without systemd; while the loop is held up it stands still."""
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.01)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    lock = tmp_path / NAME
    lock.touch()
    os.utime(lock, (1000, 1000))
    task = asyncio.create_task(Daemon._beat(SimpleNamespace(_settings=SimpleNamespace(home=tmp_path))))
    async with asyncio.timeout(10):
        while lock.stat().st_mtime <= 1000:  # noqa: ASYNC110 - another task moves it
            await asyncio.sleep(0.005)
    os.utime(lock, (1000, 1000))
    assert lock.stat().st_mtime == 1000, "nothing beats while nobody lets the loop turn"
    async with asyncio.timeout(10):
        while lock.stat().st_mtime <= 1000:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    task.cancel()


def test_a_home_that_is_away_is_no_trouble(tmp_path: Path) -> None:
    """Beating fails nobody: what is wrong with the disk is told elsewhere."""
    beat(tmp_path / "gone")
    assert last_beat(tmp_path / "gone") is None
