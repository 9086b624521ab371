"""Preference pairs: which answers make one, and that they follow the labels whatever happens to these."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from flywheel.core.lines import Line
from flywheel.core.outcomes import Label, Labelled, Message, Outcome, Signal
from flywheel.curate.pairings import PAIRS_A_ROOT, could_answer, pairs_among
from flywheel.curate.pools import admit
from flywheel.store.examples import pool
from flywheel.store.outcomes import waiting_outcomes
from flywheel.store.pairs import list_pairs, pairs_of

LINE = Line(name="code", why="w", base="b")
START = datetime(2026, 1, 1, tzinfo=UTC)
BAD, GOOD, OPEN = Label.NEGATIVE, Label.POSITIVE, Label.UNKNOWN


def asked(*words):
    return tuple(
        Message(role=role, content=one) for role, one in zip(("user", "assistant", "user"), words, strict=False)
    )


def outcome(number, label, question="fix it", answer=None, **values):
    made = {
        "key": f"k{number}", "source": "agent", "task": f"t{number}", "session": f"s{number}", "group": "g",
        "call_type": "act", "at": START + timedelta(seconds=number), "model": "m", "messages": asked(question),
        "response": f"answer {number}" if answer is None else answer,
        "labelled": Labelled(label=label, confidence=0.9), "line": "code",
    }  # fmt: skip
    return Outcome(**(made | values))


def paired(root, *outcomes):
    return [(pair.rejected, pair.chosen, pair.kind) for pair in pairs_among(LINE, root, outcomes)]


def test_a_failed_attempt_is_paired_with_the_success_after_it():
    """In a chain each failure goes with the first success that follows; a success before it is no answer to it."""
    attempts = [outcome(n, label, chain="c") for n, label in enumerate([GOOD, BAD, BAD, OPEN, GOOD, GOOD, BAD])]
    assert paired("chain:c", *attempts) == [("k1", "k4", "retry"), ("k2", "k4", "retry")]


def test_order_of_arrival_does_not_matter():
    """The same outcomes make the same pairs in whatever order they come."""
    attempts = [outcome(n, label, chain="c") for n, label in enumerate([BAD, GOOD, BAD, GOOD])]
    assert paired("chain:c", *reversed(attempts)) == paired("chain:c", *attempts)


def test_one_question_with_two_answers():
    """The same question answered well and badly makes a pair of each different bad answer."""
    found = paired("question:q", outcome(1, GOOD), outcome(2, BAD), outcome(3, BAD), outcome(4, BAD, answer="answer 2"))
    assert found == [("k2", "k1", "same_prompt"), ("k3", "k1", "same_prompt")]


def test_an_answer_that_went_both_ways_is_in_no_pair():
    """When the same words once worked and once did not, they say nothing about being better or worse."""
    flaky = (outcome(1, GOOD, answer="same"), outcome(2, BAD, answer="same "))
    assert paired("question:q", *flaky, outcome(3, BAD)) == []
    assert paired("chain:c", *(one.model_copy(update={"chain": "c"}) for one in reversed(flaky))) == []


def test_what_is_no_answer_is_not_rejected():
    """An empty answer, a server's error, a doubtful label and a secret make no pair."""
    secret = "gh" + "p_" + "aB3dE6gH9" * 4
    doubtful = Labelled(label=BAD, confidence=0.5)
    refused = [outcome(2, BAD, answer=" "), outcome(3, BAD, answer="[ERROR] 500"), outcome(4, BAD, labelled=doubtful),
               outcome(5, BAD, answer=secret)]  # fmt: skip
    assert paired("question:q", outcome(1, GOOD), *refused) == []


def test_a_root_brings_so_many_pairs_and_no_more():
    """A question that was answered a hundred times does not drown the others."""
    many = [outcome(n, BAD) for n in range(50)] + [outcome(99, GOOD)]
    assert len(paired("question:q", *many)) == PAIRS_A_ROOT


def test_what_was_taken_back_makes_a_pair_of_its_own_kind():
    """An answer that was reverted is told as such."""
    signal = Signal(name="reverted", points=-1, strength=0.9)
    reverted = outcome(1, BAD, chain="c", labelled=Labelled(label=BAD, confidence=0.9, signals=(signal,)))
    assert paired("chain:c", reverted, outcome(2, GOOD, chain="c")) == [("k1", "k2", "revert")]


EDIT = '<edit file="a.py"><search>{}</search><replacement>x</replacement></edit>'


@pytest.mark.parametrize(
    ("more", "answer", "fits"),
    [
        ("Your last answer failed: 3 tests.", "def total(rows):\n    return sum(rows)", True),
        ("Expected total_of(rows, start=0).", "def total(rows):\n    return total_of(rows, start=0).", True),
        ("Expected:\n  assert total([1, 2, 3], start=10) == 16", "  assert total([1, 2, 3], start=10) == 16", False),
        ("The file is now:\ntotal = 0 # broken", EDIT.format("total = 0 # broken"), False),
        ("It failed.", EDIT.format("written by the first"), False),
        ("It failed.", EDIT.format("total = None"), True),
        ("See docs/format.md", '<tool_call>\n{"name": "read", "arguments": {"path": "docs/format.md"}}\n</tool_call>',
         False),
        ("See docs/format.md", '<tool_call>\n{"name": "read", "arguments": {"path": "a.py"}}\n</tool_call>', True),
    ],
)  # fmt: skip
def test_a_retry_must_fit_the_first_prompt(more, answer, fits):
    """An answer that quotes, edits or calls with what only the retry's prompt tells could not have been the first."""
    first = "Write total() in a.py:\ntotal = None"
    failed = outcome(1, BAD, first, EDIT.format("total = None") + "written by the first")
    retry = outcome(2, GOOD, answer=answer, messages=asked(first, "…", more))
    assert could_answer(retry, failed) is fits


def test_prompts_about_other_things_do_not_pair():
    """Attempts whose prompts do not hold each other, or that had other tools, have no prompt in common."""
    failed = outcome(1, BAD, "write total()")
    assert not could_answer(outcome(2, GOOD, "write mean()"), failed)
    assert not could_answer(outcome(2, GOOD, "write total()", tools=({"name": "run"},)), failed)
    assert could_answer(outcome(2, GOOD, "total()"), failed)


def pairs(desk):
    with desk.store.read() as session:
        return list(pairs_of(session, desk.line.name))


def relabel(desk, number, label, **values):
    desk.bring(desk.outcome(number, label, response=f"answer {number}", **values))


@pytest.mark.asyncio
async def test_a_pair_comes_and_goes_with_its_labels(desk):
    """It is there when both labels are, gone when either changes, and back when it returns; the counter follows."""
    same = {"messages": asked("the same question")}
    relabel(desk, 1, BAD, **same)
    relabel(desk, 2, GOOD, **same)
    await desk.settle()
    (pair,) = pairs(desk)
    assert (pair.rejected, pair.chosen, pair.prompt) == ("answer 1", "answer 2", asked("the same question"))
    for label in (OPEN, BAD):
        relabel(desk, 2, label, **same)
        await desk.settle()
        assert pairs(desk) == []
        relabel(desk, 2, GOOD, **same)
        await desk.settle()
        assert pairs(desk) == [pair]
    assert desk.counters()["pairs"] == 1
    (told, *_) = desk.events("curate.examples_admitted")
    assert told.body["pairs/new"] == 1


@pytest.mark.asyncio
async def test_a_retry_takes_the_first_prompt(desk):
    """The pair of a chain asks what the failed attempt was asked."""
    desk.bring(desk.outcome(1, BAD, response="one", chain="a/c", messages=asked("do it")),
               desk.outcome(2, response="two", chain="a/c", messages=asked("do it", "one", "that failed")))  # fmt: skip
    await desk.settle()
    (pair,) = pairs(desk)
    assert (pair.kind, pair.prompt) == ("retry", asked("do it"))


@pytest.mark.asyncio
async def test_what_a_suite_asks_is_never_paired(desk):
    """Neither the pair's question nor the better answer's own may stand in a suite of any line."""
    same = {"messages": asked("examined")}
    relabel(desk, 1, BAD, **same)
    relabel(desk, 2, GOOD, **same)
    await desk.settle()
    (pair,) = pairs(desk)
    with desk.store.read() as session:
        (listed,) = list_pairs(session)
        (known,) = pool(session, desk.line.name)
    desk.suite(known.prompt_key, line="another")
    assert listed.id == pair.id
    assert pairs(desk) == []


@pytest.mark.asyncio
async def test_a_session_brings_its_share_and_no_more(desk):
    """Pairs beyond a session's share are left out, and so are the same words twice."""
    desk.plan(minimum_examples=1000)
    for number in range(40):
        same = {"messages": asked(f"question {number // 2}"), "session": "one"}
        relabel(desk, number, BAD if number % 2 else GOOD, **same)
    for number in (100, 102):
        same = {"messages": asked("elsewhere")}
        desk.bring(desk.outcome(number, BAD, response="bad", chain=f"c{number}", **same),
                   desk.outcome(number + 1, response="good", chain=f"c{number}", **same))  # fmt: skip
    await desk.settle()
    found = pairs(desk)
    assert sum(pair.session == "one" for pair in found) == 8
    assert sum(pair.session != "one" for pair in found) == 1


@pytest.mark.asyncio
async def test_the_cost_of_a_batch_does_not_grow_with_the_pool(desk):
    """A batch reads as much beside a thousand outcomes of the same question as beside ten."""
    desk.plan(minimum_examples=1000)
    steps = []
    for start, before in ((0, 10), (1000, 1000)):
        desk.bring(*(desk.outcome(start + n, BAD, response=f"a{n % 7}", messages=asked("hot")) for n in range(before)))
        await desk.settle()
        desk.bring(desk.outcome(start + before, response="good", messages=asked("hot")))
        steps.append(await _statements(desk))
    assert steps[1] <= steps[0] + 2


async def _statements(desk):
    rows = []

    def count(*arguments):
        rows.append(arguments[2])

    event.listen(desk.store.engine, "before_cursor_execute", count)
    await desk.cycle()
    event.remove(desk.store.engine, "before_cursor_execute", count)
    return len(rows)


@pytest.mark.asyncio
async def test_roots_are_found_by_index(desk):
    """No query of pairing reads a table from end to end."""
    queries = []

    def keep(_, __, statement, parameters, *___):
        if statement.startswith("SELECT"):
            queries.append((statement, parameters))

    same = {"messages": asked("q"), "chain": "c"}
    desk.bring(desk.outcome(1, BAD, response="bad", **same), desk.outcome(2, response="good", **same))
    event.listen(desk.store.engine, "before_cursor_execute", keep)
    with desk.store.write() as session:
        admit(session, desk.line, waiting_outcomes(session, desk.line.name, 10), 0)
    event.remove(desk.store.engine, "before_cursor_execute", keep)
    assert len(queries) > 5
    with desk.store.engine.connect() as connection:
        for statement, parameters in queries:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            wide = [row[3] for row in plan if re.match(r"SCAN (outcomes|pairs|examples)\b|.*\(line=\?\)", row[3])]
            assert [how for how in wide if not re.search("outcomes_waiting|departures", how)] == [], statement


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("label"), st.integers(0, 5), st.sampled_from(list(Label))),
        st.tuples(st.just("line"), st.integers(0, 5), st.sampled_from(["tool-calling", "other", None])),
        st.tuples(st.just("settle"), st.just(0), st.none()),
    ),
    max_size=14,
)


def _of(state, number):
    label, line, _ = state[number]
    question, answer, chain = number // 3, number % 2, f"c{number % 3}" if number < 4 else ""
    return {"label": label, "line": line, "messages": asked(f"question {question}"), "response": f"answer {answer}",
            "chain": chain}  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_pool_and_pairs_are_what_the_labels_say_now(desk, steps):
    """After any sequence of changes the pool's examples are those of outcomes positive now, and so are the pairs."""
    with desk.store.write() as session:
        for table in ("outcomes", "examples", "pairs", "departures", "counters"):
            session.connection().exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - names of ours
    asyncio.run(_walk(desk, steps))


async def _walk(desk, steps):
    state = dict.fromkeys(range(6), (OPEN, "tool-calling", None))
    for what, number, value in [*steps, ("settle", 0, None)]:
        if what == "settle":
            await desk.settle()
            continue
        label, line, _ = state[number]
        state[number] = (value, line, None) if what == "label" else (label, value, None)
        desk.bring(desk.outcome(number, **_of(state, number)))
    expected = {
        (values["messages"][0].content, values["response"])
        for number in state
        if (values := _of(state, number))["label"] is GOOD and values["line"] == "tool-calling"
    }
    _check(desk, state, expected)


def _check(desk, state, expected):
    with desk.store.read() as session:
        standing = {one.id for one in pool(session, "tool-calling")}
        pairs_now = [pair for pair in list_pairs(session, "tool-calling") if not pair.withdrawn]
    line = desk.line
    outcomes = [desk.outcome(number, **_of(state, number)) for number in state]
    here = [one for one in outcomes if one.line == line.name]
    assert len(standing) == len(expected)
    assert desk.counters().get("examples", 0) == len(expected)
    wanted = set()
    for root in {f"chain:{one.chain}" for one in here if one.chain}:
        members = [one for one in here if f"chain:{one.chain}" == root]
        wanted |= {(pair.chosen, pair.rejected) for pair in pairs_among(line, root, members)}
    for root in {one.messages for one in here}:
        members = [one for one in here if one.messages == root]
        wanted |= {(pair.chosen, pair.rejected) for pair in pairs_among(line, "question:", members)}
    assert {(pair.chosen, pair.rejected) for pair in pairs_now} == wanted
    assert desk.counters().get("pairs", 0) == len(pairs_now)
