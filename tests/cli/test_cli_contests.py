"""`flywheel adapters compare`, as a person types it."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flywheel.core.clocks import SystemClock
from flywheel.core.contests import Contest
from flywheel.core.events import Event
from flywheel.core.requests import Request
from flywheel.store.ledger import append
from flywheel.store.requests import answer_request, open_requests, rewrite_request
from flywheel.store.stores import Store, insert_new, open_store, sqlite_url
from flywheel.store.tables import AttributionRow, OutcomeRow

LINE = "tool-calling"
ONE, TWO = f"{LINE}@1", f"{LINE}@2"


@pytest.fixture
def say(home: Path, typed: Any) -> Any:
    """Run the command in this process; nobody answers, so that it never waits."""
    return lambda *arguments: typed("adapters", "compare", *arguments, "--wait", "0", "--config", home)


@pytest.fixture
def store(home: Path) -> Any:
    """Give the home's store."""
    with open_store(sqlite_url(home.parent / "flywheel.db")) as store:
        yield store


def asked(store: Store) -> Request:
    with store.read() as session:
        return open_requests(session, "compare")[-1]


def begin(store: Store) -> Request:
    """Let the contest that was asked for run since an hour ago."""
    request, since = asked(store), SystemClock().now() - timedelta(hours=1)
    contest = Contest.of(request).model_copy(update={"since": since, "states": ("superseded", "active")})
    with store.write() as session:
        rewrite_request(session, request.id, contest.model_dump(mode="json", exclude={"first"}))
    return request


def serve(store: Store, name: str, successes: int, failures: int) -> None:
    """Let an adapter answer tasks that end now."""
    now, ends = SystemClock().now(), ["positive"] * successes + ["negative"] * failures
    calls = [{"call": f"{name}c{n}", "line": LINE, "name": name, "arm": "active", "task": f"{name}t{n}",
              "session": "s", "at": now, "status": 200, "latency_ms": 40.0} for n in range(len(ends))]  # fmt: skip
    rows = [{"key": f"{name}o{n}", "source": "agent", "task": f"{name}t{n}", "session": "s", "repo": "r",
             "call_type": "x", "at": now, "model": LINE, "line": LINE, "label": label, "confidence": 1.0,
             "prompt_key": "p", "revision": 1, "considered": True, "body": {}}
            for n, label in enumerate(ends)]  # fmt: skip
    with store.write() as session:
        insert_new(session, AttributionRow, calls)
        insert_new(session, OutcomeRow, rows)


def test_a_contest_is_asked_for_with_its_terms(say: Any, store: Store) -> None:
    """The request holds who meets whom, at which share, for how long, and why."""
    said = say(ONE, TWO, "--share", "0.3", "--hours", "48", "--reason", "curious")
    assert (said.status, "has not begun" in said.out) == (0, True)
    request = asked(store)
    assert (request.subject, request.reason, request.override) == (ONE, "curious", False)
    assert Contest.of(request) == Contest(first=ONE, second=TWO, share=0.3, hours=48)


def test_a_contest_that_runs_is_reported_as_it_stands(say: Any, store: Store) -> None:
    """Both arms with intervals, the difference, and a sentence; in words and as JSON, whoever is named first."""
    say(ONE, TWO)
    begin(store)
    serve(store, ONE, 12, 3)
    serve(store, TWO, 5, 10)
    told = json.loads(say(TWO, ONE, "--report", "--json").out)
    first, second = told["report"]["arms"]
    assert (first["name"], first["tasks"], first["rate"], second["rate"]) == (ONE, 15, 0.8, 0.3333)
    assert first["low"] < 0.8 < first["high"]
    assert (told["request"]["state"], told["report"]["difference"]) == ("open", -0.4667)
    words = say(ONE, TWO, "--report").out
    for part in ("runs for 1 of 72 hours", ONE, "40.0", "-0.467, between", "95 % sure, whenever you look"):
        assert part in words
    assert len(open_of(store)) == 1


def open_of(store: Store) -> list[Request]:
    with store.read() as session:
        return open_requests(session, "compare")


def test_a_contest_that_ended_keeps_its_report(say: Any, store: Store) -> None:
    """What is shown after the end is what stood when it ended, whatever came later."""
    say(ONE, TWO)
    request = begin(store)
    serve(store, ONE, 4, 0)
    report = json.loads(say(ONE, TWO, "--report", "--json").out)["report"]
    with store.write() as session:
        append(session, Event(kind="rollout.contest_ended", at=SystemClock().now(), line=LINE, subject=ONE,
                              body={"request": request.id, "report": report}))  # fmt: skip
        answer_request(session, request.id, satisfied=True, answer="that was it")
    serve(store, TWO, 4, 0)
    said = say(TWO, ONE, "--report")
    assert "the contest ended" in said.out
    assert "that was it" in said.out
    assert json.loads(say(ONE, TWO, "--report", "--json").out)["report"] == report


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((ONE, "plan@2"), "are not two adapters of one line"),
        ((ONE, "base"), "are not two adapters of one line"),
        ((ONE, TWO, "--override"), "an override needs its reason"),
        ((ONE, TWO, "--report"), "were never compared"),
        (("plan@1", "plan@2"), "not a line of the settings"),
    ],
)
def test_what_cannot_be_compared_is_misuse(say: Any, arguments: tuple[str, ...], words: str) -> None:
    """One line that says what is wrong, and exit status 2."""
    said = say(*arguments)
    assert said.status == 2
    assert words in said.err


def test_an_end_is_asked_for_by_name(say: Any, store: Store) -> None:
    """`--stop` asks for the end of the contest of the two, and shows it."""
    say(ONE, TWO)
    begin(store)
    assert say(TWO, ONE, "--stop").status == 0
    assert asked(store).body["stop"] is True
