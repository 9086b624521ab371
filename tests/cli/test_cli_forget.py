"""`flywheel forget`, `examples superseded` and `examples pairs`, from the command to the daemon's cycle and back."""

import asyncio
import json
import sys
from datetime import UTC, datetime

import pytest

from flywheel.cli.main import main
from flywheel.core.lines import Line
from flywheel.core.outcomes import Label, Labelled, Message, Outcome
from flywheel.curate.pools import admit
from flywheel.daemon.run import cycle_once
from flywheel.daemon.settings import load_settings
from flywheel.store.ledger import events
from flywheel.store.listings import list_rows
from flywheel.store.outcomes import store_outcomes, waiting_outcomes
from flywheel.store.stores import open_store, sqlite_url

LINE = Line(name="tool-calling", why="w", base="main")


def outcome(number, label=Label.POSITIVE):
    return Outcome(key=f"k{number}", source="agent", task=f"t{number}", session=f"s{number}", group="acme/secret-repo",
                   call_type="act", at=datetime(2026, 1, 1, tzinfo=UTC), model="m", response=f"answer {number}",
                   messages=(Message(role="user", content="question"),), line="tool-calling",
                   labelled=Labelled(label=label, confidence=0.9))  # fmt: skip


@pytest.fixture
def store(tmp_path):
    with open_store(sqlite_url(tmp_path / "home" / "flywheel.db")) as opened:
        with opened.write() as session:
            store_outcomes(session, [outcome(1), outcome(2, Label.NEGATIVE)])
            admit(session, LINE, waiting_outcomes(session, "tool-calling", 10), 0)
        yield opened


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "flywheel.toml"
    path.write_text(f'home = "{tmp_path / "home"}"\n')
    return path


@pytest.fixture
def say(monkeypatch, capsys, config):
    def run(*arguments, status=0):
        monkeypatch.setattr(sys, "argv", ["flywheel", *arguments, "--config", str(config)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        told = capsys.readouterr()
        assert int(left.value.code or 0) == status, told
        return told.out + told.err

    return run


def test_a_dry_run_says_what_there_is_and_asks_nothing(store, say):
    """The counts are told, as words and as JSON, and no request is written."""
    told = say("forget", "--repo", "acme/secret-repo", "--dry-run")
    assert "2 outcomes, 1 example, 1 pair and 0 captured calls" in told
    assert "later records of this repo are kept out" in told
    found = json.loads(say("forget", "--repo", "acme/secret-repo", "--dry-run", "--json"))
    assert (found["outcomes"], found["datasets"]) == (2, [])
    with store.read() as session:
        assert list_rows(session, "requests") == []


def test_forgetting_is_asked_and_the_daemon_does_it(store, say, config):
    """The request waits for the daemon; its cycle satisfies it; the name is in no table, no event and no byte."""
    assert "no answer yet" in say("forget", "--repo", "acme/secret-repo", "--yes", "--wait", "0")
    asyncio.run(cycle_once(load_settings(config)))
    with store.read() as session:
        (request,) = list_rows(session, "requests")
        (told,) = events(session, kinds=["operator.records_forgotten"])
        assert list_rows(session, "outcomes") == []
    assert request["state"] == "satisfied"
    assert request["body"] == {}
    assert told.subject == request["subject"]
    home = config.parent / "home"
    assert [path.name for path in home.iterdir() if path.is_file() and b"secret-repo" in path.read_bytes()] == []
    assert "0 outcomes" in say("forget", "--repo", "acme/secret-repo", "--dry-run")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say what to forget"),
        (("--repo", "a", "--session", "b"), "one of --repo"),
        (("--example", "nothing"), "no example begin"),
        (("--repo", "acme/secret-repo"), "add --yes"),
    ],
)
def test_misuse_is_one_line(store, say, arguments, words):
    """What is missing, and how to look first, is told; nothing is forgotten without a yes."""
    told = say("forget", *arguments, status=2)
    assert words in told
    assert len(told.strip().splitlines()) == 1


def test_an_example_is_named_by_the_beginning_of_its_id(store, say):
    """As everywhere else."""
    with store.read() as session:
        (row,) = list_rows(session, "examples")
    assert "1 outcome, 1 example, 1 pair" in say("forget", "--example", row["id"][:10], "--dry-run")


def test_pairs_and_superseded_are_listed(store, say):
    """Both lists come as a table and as JSON."""
    (pair,) = json.loads(say("examples", "pairs", "--line", "tool-calling", "--json"))
    assert (pair["kind"], pair["chosen"], pair["rejected"], pair["withdrawn"]) == ("same_prompt", "k1", "k2", False)
    assert "1 pairs" in say("examples", "pairs")
    assert json.loads(say("examples", "superseded", "--json")) == []
    assert "0 superseded examples" in say("examples", "superseded")
