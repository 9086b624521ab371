"""Reading sources by hand: once or for as long as asked, and never beside a daemon."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flywheel.daemon.locks import only_daemon
from flywheel.daemon.places import shipped

RUN = [
    {"type": "run_start", "run_id": "run-a", "problem_id": "p"},
    {"type": "vllm_call", "ts": "2026-01-01T10:00:00Z", "input": [{"role": "user", "content": "add"}], "output": "x"},
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of a house that watches a fleet, and one line that takes what it does."""
    policies = tmp_path / "policies"
    shutil.copytree(shipped("policies"), policies)
    (tmp_path / "runs").mkdir()
    write(tmp_path, "run-a")
    made = tmp_path / "flywheel.toml"
    made.write_text(
        f'home = "{tmp_path / "home"}"\nlines = ["tool-calling"]\npolicies = "{policies}"\n'
        f'[bases.main]\npath = "{tmp_path}"\nserved_as = "main"\n'
        f'[[sources]]\nname = "fleet"\nkind = "fleet"\npath = "{tmp_path / "runs"}"\n'
    )
    return made


def write(folder: Path, run: str) -> None:
    """Write a run's log."""
    lines = [{**line, **({"run_id": run} if "run_id" in line else {})} for line in RUN]
    (folder / "runs" / f"{run}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def flywheel(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a command."""
    argv = [sys.executable, "-m", "flywheel", *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def test_ingesting_once_reads_everything_and_says_so(config: Path) -> None:
    """What is there is stored; a second time there is nothing new."""
    said = flywheel("sources", "ingest", "--once", "-c", config)
    assert (said.returncode, said.stdout.strip()) == (0, "fleet: 1 new and 0 changed outcomes")
    again = flywheel("sources", "ingest", "--once", "--json", "-c", config)
    assert json.loads(again.stdout) == {"sentences": ["nothing new"], "failed": []}
    (listed,) = json.loads(flywheel("outcomes", "list", "--json", "-c", config).stdout)
    assert listed["source"] == "fleet"


def test_a_source_that_cannot_be_read_fails_the_command(config: Path, tmp_path: Path) -> None:
    """Exit code 1 and the reason; what was asked wrongly is exit code 2."""
    shutil.rmtree(tmp_path / "runs")
    said = flywheel("sources", "ingest", "--once", "-c", config)
    assert said.returncode == 1
    assert "there is no such folder" in said.stderr
    assert flywheel("sources", "ingest", "--json", "-c", config).returncode == 2
    assert flywheel("sources", "probe", tmp_path, "--kind", "diary").returncode == 2


def test_beside_a_daemon_it_is_refused(config: Path, tmp_path: Path) -> None:
    """While a daemon holds the home it ingests by itself; a probe may look beside it."""
    with only_daemon(tmp_path / "home"):
        said = flywheel("sources", "ingest", "--once", "-c", config)
        assert said.returncode == 1
        assert "another daemon is at work" in said.stderr
        assert "it ingests by itself" in said.stderr
        report = json.loads(flywheel("sources", "probe", tmp_path / "runs", "--json", "-c", config).stdout)
    assert (report["kind"], report["lines"]) == ("fleet", {"tool-calling": {"unknown": 1}})


def test_it_follows_until_told_to_stop(config: Path, tmp_path: Path) -> None:
    """Without --once it goes on reading what comes; Ctrl-C ends it in order."""
    argv = [sys.executable, "-u", "-m", "flywheel", "sources", "ingest", "-c", str(config)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert "1 new" in child.stdout.readline()
        write(tmp_path, "run-b")
        assert "1 new" in child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=10)[0] == ""
    assert child.returncode == 0
