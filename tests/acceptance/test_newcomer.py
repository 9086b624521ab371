"""A new user, from the README alone: installed, watching the real opencode, the first dataset frozen."""

import json
import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from newcomer_house import LINE, Newcomer
from opencode_house import installed, wait

from flywheel.store.listings import list_rows
from flywheel.store.stores import open_store, sqlite_url

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # the installation of opencode, once a machine

WHOLE = os.environ.get("FLYWHEEL_SOAK") == "1"
BEFORE = ["one", "two", "three", "four"]
AFTER = ["five", "six"]
MINUTES = 10


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    """A person with opencode and a model server, who has just read the first page."""
    made = Newcomer(tmp_path, installed())
    try:
        yield made
    finally:
        made.close()


def test_from_the_readme_to_the_first_dataset(newcomer: Newcomer, capsys: pytest.CaptureFixture[str]) -> None:
    """What they type is what the README says; their history counts, and so does what comes through the gateway.

    With FLYWHEEL_SOAK=1 flywheel is installed with everything it depends on and nothing is hurried; else the tests'
    own environment lends what it depends on, and a session is over after a second of quiet instead of sixty.
    """
    newcomer.work(BEFORE)
    steps: list[tuple[str, float]] = [("", time.monotonic())]

    def done(what: str) -> None:
        steps.append((what, time.monotonic()))

    newcomer.install(whole=WHOLE)
    assert newcomer.installed_at().is_relative_to(newcomer.venv), "it is the installed one that is tried"
    done("pip install")
    told = newcomer.json("init", "--yes", "--server", newcomer.upstream.url)
    assert [one["kind"] for one in told["watches"]] == ["opencode"]
    assert told["lines"] == [LINE]
    assert "sound" in newcomer.flywheel("policy", "check")
    done("flywheel init --yes")
    assert _ails(newcomer).isdisjoint({"settings", "policies", "source opencode", "store", "rights"})
    _be_quick(newcomer.flywheel_config)
    newcomer.start_flywheel("run")
    newcomer.start_flywheel("gateway")
    newcomer.flywheel("emit", "opencode", "--context", "32000", "--merge", "--output", str(newcomer.opencode_config))
    wait(lambda: _good(newcomer) >= 4 * len(BEFORE), "the history as examples")
    done("flywheel run: the history is read")
    newcomer.work(AFTER, agent=LINE)
    assert {seen.body["model"] for seen in newcomer.upstream.seen[-1:]} == {"base"}
    done("opencode works through the gateway")
    wait(lambda: _good(newcomer) >= 4 * len(BEFORE + AFTER), "the new sessions as examples")
    done("after a while of quiet its sessions are read")
    assert len(newcomer.json("examples", "list", "--line", LINE, "--limit", "1000")) == _good(newcomer)
    answer = newcomer.json("datasets", "freeze", LINE, "--wait", "120")
    done("flywheel datasets freeze")
    assert answer["state"] == "satisfied", answer
    (dataset,) = newcomer.json("datasets", "list")
    rows = [json.loads(row) for row in _file(newcomer, dataset["hash"]).read_text().splitlines()]
    assert rows
    assert all(row["messages"][-1]["role"] == "assistant" for row in rows)
    _tell(steps, capsys)


def _be_quick(config: Path) -> None:
    if not WHOLE:
        config.write_text(config.read_text().replace('kind = "opencode"\n', 'kind = "opencode"\nquiet_seconds = 1\n'))


def _ails(newcomer: Newcomer) -> set[str]:
    """What the doctor finds failing, before anything runs."""
    told = json.loads(newcomer.flywheel("doctor", "--json", statuses={0, 1}))
    return {one["check"] for one in told["findings"] if one["state"] == "fail"}


def _good(newcomer: Newcomer) -> int:
    newcomer.processes.check("run")
    newcomer.processes.check("gateway")
    path = newcomer.home / ".local" / "share" / "flywheel" / "flywheel.db"
    if not path.exists():
        return 0
    with open_store(sqlite_url(path)) as store, store.read() as session:
        return len(list_rows(session, "examples", line=LINE, limit=1000))


def _file(newcomer: Newcomer, name: str) -> Path:
    return newcomer.home / ".local" / "share" / "flywheel" / "datasets" / name / "train.jsonl"


def _tell(steps: list[tuple[str, float]], capsys: pytest.CaptureFixture[str]) -> None:
    """Say how long each step took; the whole of it is under ten minutes."""
    with capsys.disabled():
        for (_, began), (what, ended) in pairwise(steps):
            print(f"  {ended - began:6.1f} s  {what}")
    assert steps[-1][1] - steps[0][1] < MINUTES * 60
