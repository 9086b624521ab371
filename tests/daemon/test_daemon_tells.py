"""A real daemon tells: a command hears of its start, of settings that were turned down, and of nothing twice."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any


def heard(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"), key=lambda path: int(path.stem))]


def delivered(home: Path) -> int:
    """Return how many notices the store says were taken."""
    with closing(sqlite3.connect(home / "flywheel.db")) as database:
        row = database.execute("SELECT body FROM cursors WHERE source = 'notify:ops'").fetchone()
    return int(json.loads(row[0])["delivered"]) if row else 0


def until_taken(folder: Path, count: int, daemon: "subprocess.Popen[bytes]") -> list[str]:
    """Wait until so many notices were heard, and that was written down; return their kinds."""
    end = time.monotonic() + 120
    while len(heard(folder)) < count or delivered(folder.parent / "home") < count:
        assert daemon.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    return [one["kind"] for one in heard(folder)]


def test_a_daemon_tells_of_itself_and_goes_on_where_it_was(tmp_path: Path) -> None:
    """Started, reloaded with wrong settings and killed, it tells each once; a restart tells only what is new."""
    folder = tmp_path / "heard"
    folder.mkdir()
    config = tmp_path / "flywheel.toml"
    script = f'cat > {folder}/.new && mv {folder}/.new {folder}/"$FLYWHEEL_NOTICE_SEQ".json'
    settings = (
        f'home = "{tmp_path}/home"\n[web]\nenabled = false\n[daemon]\nlook_seconds = 0.2\n'
        f'[[notify]]\nname = "ops"\nkinds = ["started", "settings_rejected"]\ncommand = ["sh", "-c", \'{script}\']\n'
    )
    config.write_text(settings)
    argv = [sys.executable, "-m", "flywheel", "run", "--config", str(config)]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as daemon:
        assert until_taken(folder, 1, daemon) == ["started"]
        config.write_text(settings + "nonsense = 1\n")
        os.kill(daemon.pid, signal.SIGHUP)
        assert until_taken(folder, 2, daemon) == ["started", "settings_rejected"]
        daemon.kill()
    config.write_text(settings)
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as daemon:
        assert until_taken(folder, 3, daemon) == ["started", "settings_rejected", "started"]
        daemon.terminate()
        assert daemon.wait(30) == 0
    assert delivered(tmp_path / "home") == 3
