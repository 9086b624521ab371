"""The demo, as a newcomer runs it, on real vLLM."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flywheel.proc.environments import environment, why_not

pytestmark = [pytest.mark.train, pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_demo_closes_the_loop_and_leaves_nothing_running(tmp_path: Path) -> None:
    """The agent gains at least 15 points, the poisoned round fails, the bad adapter comes back by itself."""
    if reason := why_not(environment("serve", "cpu")):
        pytest.skip(reason)
    home = tmp_path / "demo"
    argv = [sys.executable, "-m", "flywheel", "demo", "--json", "--home", str(home)]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=850)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-6000:]
    story = json.loads(ended.stdout)
    assert story["gained_points"] >= 15
    assert story["before"]["tasks"] == story["after"]["tasks"] >= 200
    assert story["before"]["failed_requests"] == story["after"]["failed_requests"] == 0
    assert story["poisoned_verdict"] == "fail"
    assert story["rolled_back"] is True
    assert not _running(home)
    _explained(home, story["first"])


def _explained(home: Path, name: str) -> None:
    argv = [sys.executable, "-m", "flywheel", "explain", name, "--config", str(home / "flywheel.toml")]
    told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    for word in (
        "rollout.adapter_promoted",
        "first-promotion-approved",
        "facts:",
        "Evidence: gate demo",
        "train.run_started",
    ):
        assert word in told, told


def _running(home: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(home) in line and int(process.name) != os.getpid():
            found.append(line)
    return found
