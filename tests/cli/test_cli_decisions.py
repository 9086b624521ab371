"""`flywheel decisions` and `flywheel explain`: what was decided, as it happens, and how it came to it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_house import LINE
from rich.console import Console
from standing_house import ACTIVE, CANARY, DATASET, NOON, SECRETIVE, World

from flywheel.cli import decisions
from flywheel.core.clocks import SystemClock
from flywheel.core.events import Event
from flywheel.store.ledger import append, event_by_seq
from flywheel.store.reports import report_id
from flywheel.store.stores import insert_new
from flywheel.store.tables import QuarantineRow


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a home in which much has happened."""
    return World(tmp_path)


def test_decisions_are_lines_with_their_numbers(world: World, typed: Any) -> None:
    """Oldest first, each a line that is never broken: number, time, kind, subject, words."""
    lines = typed("decisions", "--config", world.config).out.splitlines()
    assert len(lines) == len([kind for kind in lines if kind.startswith("#")])
    assert lines[-1].split()[0] == f"#{world.events['rollout.canary_started']}"
    assert lines[-1].endswith(f"{CANARY} gets 10 % {SECRETIVE}")
    assert not any("sources." in line for line in lines)
    assert len(typed("decisions", "--kind", "sources.", "--config", world.config).out.splitlines()) == 1


def test_a_terminal_of_any_width_shows_whole_words(world: World) -> None:
    """What does not fit stands below, and no line is longer than the terminal; a hash is told by its beginning."""
    with world.open() as store, store.read() as session:
        found = [event_by_seq(session, seq) for seq in world.events.values()]
    for width in (40, 80, 160):
        console = Console(width=width, force_terminal=True, color_system=None)
        with console.capture() as capture:
            for event in found:
                assert event is not None
                for part in decisions.drawn(event, width):
                    console.print(part)
        drawn = capture.get()
        assert max(len(line.rstrip()) for line in drawn.splitlines()) <= width
        assert DATASET not in drawn
        assert DATASET[:8] in drawn


def test_following_goes_on_from_the_end(world: World, typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes is told once, nothing from before `--since` comes along, and Ctrl-C ends it with 130."""

    def sleep(_: float) -> None:
        looks.append(1)
        if len(looks) == 2:
            now = SystemClock().now()
            with world.open() as store, store.write() as session:
                append(session, Event(kind="rollout.adapter_promoted", at=now, line=LINE, subject=CANARY))
                append(session, Event(kind="sources.source_failed", at=now, subject="agent"))
        if len(looks) == 4:
            raise KeyboardInterrupt

    looks: list[int] = []
    monkeypatch.setattr(decisions.time, "sleep", sleep)
    said = typed("decisions", "--follow", "--since", "1h", "--json", "--config", world.config)
    assert said.status == 130
    assert [json.loads(line)["kind"] for line in said.out.splitlines()] == ["rollout.adapter_promoted"]


def test_who_reads_may_leave(world: World) -> None:
    """A pipe that is closed early, as `head` does, is no error worth words."""
    argv = [sys.executable, "-m", "flywheel", "decisions", "--follow", "--config", str(world.config)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ}) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"#")
        process.stdout.close()
        with world.open() as store, store.write() as session:
            append(session, Event(kind="rollout.adapter_promoted", at=SystemClock().now(), line=LINE, subject=CANARY))
        assert process.wait(60) == 1
        assert process.stderr.read() == b""


def test_an_effect_is_followed_to_the_first_outcomes(world: World, typed: Any) -> None:
    """From a release over verdict, run, decision with its facts, and dataset to the outcomes that it learned from."""
    said = typed("explain", CANARY, "--config", world.config).out
    story = [said.index(words) for words in (
        f"{CANARY}: an adapter got a share of the traffic", "Evidence: gate g on suite ssssssss says pass",
        "How it came to this, newest first:", "gate.adapter_passed", "train.run_started",
        "wanted: train.start_run tool-calling, because 38 fresh examples", "- frozen-base (allow): the base is pinned",
        "facts: line.rung = 3", "curate.dataset_frozen", "curate.examples_admitted", "sources.outcomes_ingested",
        "What it was learned from: dataset dadadada, 3 in train, 1 in valid", "task t1 of agent",
        f"- tests_passed (+1, 0.9): 12 of 12 {SECRETIVE}",
    )]  # fmt: skip
    assert story == sorted(story)


def test_whatever_has_a_name_is_explained(world: World, typed: Any) -> None:
    """An adapter, a release, a run, a dataset, a report, an example, an outcome, a number: by name or its beginning."""
    told = json.loads(typed("explain", ACTIVE, "--json", "--config", world.config).out)
    assert told["events"][0]["kind"] == "rollout.adapter_promoted"
    assert told["beginning"]["dataset"] == DATASET
    runs = [event["subject"] for event in told["events"] if event["kind"] == "train.run_started"]
    report = report_id("h1", "s" * 64)
    for name, kind in ((runs[0], "train.run_started"), (DATASET[:8], "curate.dataset_frozen"), (report, "gate."),
                       ("h2", "train.adapter_published"), ("#1", "sources.")):  # fmt: skip
        found = json.loads(typed("explain", name, "--json", "--config", world.config).out)
        assert found["events"][0]["kind"].startswith(kind), name
    for name in ("ex-2", "agent/t2"):
        found = json.loads(typed("explain", name, "--json", "--config", world.config).out)
        assert (found["root"]["task"], [one["name"] for one in found["made"]]) == ("t2", [ACTIVE, CANARY])
        words = typed("explain", name, "--config", world.config).out
        assert f"adapters: {ACTIVE} (active), {CANARY} (canary)" in words
        assert f"`flywheel explain {CANARY}`" in words


def test_what_has_no_event_of_its_own_is_told_all_the_same(world: World, typed: Any) -> None:
    """A job, and a row that was refused with its reason; a name that nothing has is refused."""
    with world.open() as store, store.write() as session:
        row = {"source": "agent", "row": "agent/t9", "rule": "private-key", "reason": f"a key {SECRETIVE}", "at": NOON}
        insert_new(session, QuarantineRow, [row])
    said = typed("explain", "agent/t9", "--config", world.config).out
    assert said.startswith("refused row agent/t9\n")
    assert f"  reason: a key {SECRETIVE}\n  rule: private-key\n" in said
    told = json.loads(typed("explain", "train-run-9", "--json", "--config", world.config).out)
    assert (told["kind"], told["facts"]["subject"]) == ("job", "run-9")
    typed("explain", "agent/t10", "--config", world.config).refused(2, "nothing is called 'agent/t10'")


def test_what_came_of_something_is_told(world: World, typed: Any) -> None:
    """A dataset's story ends with what it led to."""
    said = typed("explain", DATASET[:6], "--config", world.config).out
    assert "policy.intent_allowed" in said[said.index("What came of it:") :]


def test_every_kind_has_words_and_a_colour() -> None:
    """Good, bad and open decisions are told apart; an event without a sentence says what its kind means."""
    event = Event(kind="gate.adapter_failed", at=SystemClock().now(), seq=1)
    assert decisions.words_of(event) == "an adapter failed its gate, or the evidence was not enough"
    colours = {kind: decisions.style_of(kind) for kind in decisions.kinds_of(None)}
    assert colours["gate.adapter_failed"] == colours["policy.intent_refused"] == "red"
    assert colours["gate.adapter_passed"] == "green"
    assert colours["policy.intent_held"] == colours["daemon.approval_wanted"] == "yellow"
