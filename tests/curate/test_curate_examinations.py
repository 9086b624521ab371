"""What suites from elsewhere ask stands in no dataset; a suite that is to be replaced lets rows be held out again."""

import random

import pytest

from flywheel.core.examples import prompt_key
from flywheel.core.nearness import SCHEME, question_text, sketch
from flywheel.core.outcomes import Message
from flywheel.core.suites import Suite
from flywheel.curate.examinations import near_suites
from flywheel.store.datasets import members
from flywheel.store.examples import examples_by_id
from flywheel.store.kinships import questions_set_aside
from flywheel.store.purges import mark_purged
from flywheel.store.suites import holds_out, mark_due, record_suite, retire, suite_sketches

WORDS = ["".join(random.Random(n).choices("abcdefghijklmnop", k=3 + n % 7)) for n in range(900)]


def text(number):
    return " ".join(random.Random(number).choices(WORDS, k=60))


def drawn(said):
    return sketch(question_text([("user", said)]), fold=True)


def examine(desk, texts, line=None, **values):
    """Let a suite that came in a file ask these."""
    order = Message(role="system", content="Code.")
    keys = {prompt_key((order, Message(role="user", content=one))): drawn(one) for one in texts}
    suite = Suite(hash="foreign", line=line or desk.line.name, dataset="", problems=len(keys), groups=1, seq=1,
                  origin="imported", **values)  # fmt: skip
    with desk.store.write() as session:
        record_suite(session, suite, keys, keys, SCHEME)


def bring(desk, texts, first=1):
    """Bring outcomes that ask these."""
    desk.bring(*(
        desk.outcome(n, messages=(Message(role="user", content=said),), response=f"answer {n} {text(-n)}")
        for n, said in enumerate(texts, first)
    ))  # fmt: skip


def asked_in(desk, *parts):
    with desk.store.read() as session:
        ids = [one for part in parts for one in members(session, desk.last().hash, part)]
        return {one.prompt[-1].content for one in examples_by_id(session, ids).values()}


@pytest.mark.asyncio
@pytest.mark.parametrize("line", [None, "another"])
@pytest.mark.parametrize("live", [True, False])
async def test_no_dataset_takes_what_a_suite_from_elsewhere_asks(desk, line, live):
    """Neither its questions nor what differs from one in a word are learned, whoever's suite it is, used or waiting."""
    taken = [text(1), f"{text(2)} more", f"{text(3)} and"]
    examine(desk, [text(1), text(2), text(3), text(4)], line, live=live)
    others = [text(number) for number in range(10, 40)]
    bring(desk, [*taken, *others])
    await desk.settle()
    assert asked_in(desk, "train", "valid", "test") <= set(others)
    assert desk.last().left_out["question is nearly one of a suite"] == 3
    assert desk.last().shares["shares_with_suites"] == 0


@pytest.mark.asyncio
async def test_what_taught_before_a_suite_came_teaches_no_more(desk):
    """An import leaves out what the pool asks; should a question stand in both all the same, the dataset gives way."""
    texts = [text(number) for number in range(10, 40)]
    bring(desk, texts)
    await desk.settle()
    desk.trained()
    examine(desk, [f"{texts[0]} more"])
    bring(desk, [text(number) for number in range(50, 70)], first=50)
    await desk.settle()
    assert texts[0] not in asked_in(desk, "train", "valid", "test")
    assert desk.events("curate.dataset_frozen")[-1].body["lost_examples"] == 0


@pytest.mark.asyncio
async def test_a_suite_that_is_to_be_replaced_lets_rows_be_held_out_again(desk):
    """While a suite serves nothing is held out; once it is due the next dataset does, for its successor."""
    bring(desk, [text(number) for number in range(10, 40)])
    examine(desk, [text(1)])
    await desk.settle()
    desk.trained()
    assert "test" not in desk.last().splits
    with desk.store.write() as session:
        assert not holds_out(session, desk.line.name)
        mark_due(session, "foreign")
        assert holds_out(session, desk.line.name)
    bring(desk, [text(number) for number in range(50, 90)], first=50)
    await desk.settle()
    assert desk.last().splits["test"].rows > 0
    with desk.store.read() as session:
        held = {one.prompt_key for one in examples_by_id(session, members(session, desk.last().hash, "test")).values()}
        assert questions_set_aside(session, "another") == held
        assert questions_set_aside(session, desk.line.name) == frozenset()


@pytest.mark.asyncio
async def test_a_retired_suite_s_questions_stay_forbidden(desk):
    """Whoever learned them by now would look better in nothing but memory."""
    examine(desk, [text(1)])
    with desk.store.write() as session:
        retire(session, "foreign")
    bring(desk, [f"{text(1)} more", *(text(number) for number in range(10, 40))])
    await desk.settle()
    assert desk.last().left_out["question is nearly one of a suite"] == 1


def test_lessons_are_compared_with_suites_too(desk):
    """A pair's question that no example asks is known as nearly one of a suite."""
    examine(desk, [text(1), text(2)])
    lessons = {"near": drawn(f"{text(2)} more"), "far": drawn(text(9))}
    with desk.store.read() as session:
        assert near_suites(session, lessons, 0.9) == (frozenset(), frozenset({"near"}))


def test_what_is_forgotten_of_a_suite_leaves_no_sketch(desk):
    """A suite whose files were deleted for somebody's sake keeps no hashes of what it asked."""
    examine(desk, [text(1)])
    with desk.store.write() as session:
        mark_purged(session, [], ["foreign"], desk.clock.now(), "req")
        assert suite_sketches(session, SCHEME) == {}
