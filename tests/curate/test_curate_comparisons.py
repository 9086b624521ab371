"""Comparing as it is stored: the older of two stays, batches do not matter, and what is forgotten leaves no trace."""

import random
import runpy
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import select

import flywheel
from flywheel.core.examples import Example, prompt_key
from flywheel.core.outcomes import Message
from flywheel.curate import comparisons
from flywheel.curate.comparisons import compare_new
from flywheel.store.examples import add_examples, pool
from flywheel.store.kinships import near_duplicates_of, near_examples, near_questions, near_to
from flywheel.store.nearness_tables import (
    AnswerSketchRow,
    NearExampleRow,
    NearQuestionRow,
    QuestionBandRow,
    QuestionSketchRow,
)
from flywheel.store.sketches import forget_sketches

TABLES = (AnswerSketchRow, NearExampleRow, NearQuestionRow, QuestionBandRow, QuestionSketchRow)
AT = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ["".join(random.Random(n).choices("abcdefghijklmnop", k=3 + n % 7)) for n in range(900)]
LONG = " ".join(random.Random(0).choices(WORDS, k=80))
CODE = "\n".join(f"{word} = load({word}, {n})" for n, word in enumerate(WORDS[:30]))


def example(name, question, answer, line="l", system="be careful"):
    asked = (Message(role="system", content=system), Message(role="user", content=question))
    return Example(
        id=name, line=line, outcome=f"o-{name}", task=f"t-{name}", session=f"s-{name}", group="g", category="c", at=AT,
        origin="logged", messages=(*asked, Message(role="assistant", content=answer)), prompt_key=prompt_key(asked),
    )  # fmt: skip


def bring(store, *examples):
    with store.write() as session:
        add_examples(session, examples)


def everything(store):
    with store.read() as session:
        return [[row.model_dump() for row in session.exec(select(table)).all()] for table in TABLES]


def test_a_near_duplicate_names_the_older_one(desk):
    """The same question and answer but for a word is nearly the same example; another answer is another example."""
    bring(
        desk.store,
        example("first", LONG, CODE),
        example("again", f"{LONG} please", CODE.replace("load", "load", 1)),
        example("other answer", f"{LONG} now", CODE.replace("load", "store")),
        example("other line", f"{LONG} thanks", CODE, line="m"),
    )
    assert compare_new(desk.store, {"l": 0.9}) == 1
    with desk.store.read() as session:
        assert near_examples(session, "l", 0.9) == [("again", "first")]
        assert near_examples(session, "m", 0.9) == []
        ((older, alike),) = near_duplicates_of(session, "again")
        assert (older, alike > 0.9) == ("first", True)
        assert len(near_questions(session, 0.9)) == 6, "questions are compared over all lines, whatever the answers"
    assert compare_new(desk.store, {"l": 0.9}) == 0


def test_another_system_prompt_is_nearly_the_same_question(desk):
    """An agent's new release changes its system prompt and not what was asked."""
    asked = (Message(role="system", content="be careful"), Message(role="user", content=LONG))
    bring(desk.store, example("a", LONG, CODE), example("b", LONG, CODE, system="be bold " * 50))
    compare_new(desk.store, {})
    with desk.store.read() as session:
        assert len(near_to(session, [prompt_key(asked)], 0.9)) == 2
        assert near_examples(session, "l", 0.99) == [("b", "a")]


def test_templated_requests_with_other_values_are_all_kept(desk):
    """A thousand requests of four templates, each with its own path: none repeats another."""
    forms = ["Show {}", "Run the tests of {} until 3 fail", "What is in {}?", "Delete {} and commit"]
    call = '<tool_call>\n{{"name": "read_file", "arguments": {{"path": "{}"}}}}\n</tool_call>'
    paths = [f"src/{one}/{WORDS[n]}_{n}.py" for n, one in enumerate(WORDS[:900])]
    bring(desk.store, *(example(f"e{n}", forms[n % 4].format(path), call.format(path)) for n, path in enumerate(paths)))
    assert compare_new(desk.store, {"l": 0.9}) == 0
    with desk.store.read() as session:
        assert near_questions(session, 0.85) == []


def test_the_demos_tasks_are_all_kept(desk):
    """A thousand short requests made of a few templates and words: no two are nearly the same, as question or whole."""
    tiny = runpy.run_path(str(Path(flywheel.__file__).parent / "jobs" / "tiny_tasks.py"), run_name="tiny_tasks")
    tasks = [tiny["public_task"](20, n) for n in range(1_000)]
    bring(desk.store, *(example(f"e{n}", task.prompt, task.right) for n, task in enumerate(tasks)))
    assert compare_new(desk.store, {"l": 0.85}) == 0
    with desk.store.read() as session:
        assert near_questions(session, 0.85) == []


@pytest.mark.parametrize("size", [1, 7])
def test_batches_make_no_difference(desk, monkeypatch, size):
    """One by one or all at once: the same pairs are found."""
    draw = random.Random(5)
    made = []
    for _ in range(60):
        question, answer = draw.choice(made) if made and draw.random() < 0.5 else (
            " ".join(draw.choices(WORDS, k=40)), " ".join(draw.choices(WORDS, k=40)))  # fmt: skip
        made.append((question + draw.choice(["", " really", " do"]), answer + draw.choice(["", " indeed"])))
    unique = {(question, answer): n for n, (question, answer) in enumerate(made)}
    pool = [example(f"e{n}", *said) for said, n in sorted(unique.items(), key=lambda item: item[1])]
    bring(desk.store, *pool)
    compare_new(desk.store, {})
    whole = everything(desk.store)
    assert len(whole[1]) > 10
    with desk.store.write() as session:
        comparisons.begin_anew(session, comparisons.SCHEME)
    assert everything(desk.store) == [[], [], [], [], []]
    monkeypatch.setattr(comparisons, "EXAMPLES_A_BATCH", size)
    compare_new(desk.store, {})
    assert [sorted(map(str, rows)) for rows in everything(desk.store)] == [sorted(map(str, rows)) for rows in whole]


def test_a_crowd_costs_no_more_than_a_few(desk, monkeypatch):
    """Where hundreds ask nearly the same, each is compared with a few, and all are still found to belong together."""
    calls = []
    counted = comparisons.similarity
    monkeypatch.setattr(comparisons, "similarity", lambda one, other: calls.append(1) or counted(one, other))
    count = 400
    bring(desk.store, *(example(f"e{n}", f"{LONG} {n}", f"{WORDS[n]} {n} {WORDS[-n]}") for n in range(count)))
    compare_new(desk.store, {})
    assert len(calls) <= count * comparisons.TRIED * (comparisons.TRIED + 1)
    with desk.store.read() as session:
        pairs = near_questions(session, 0.9)
    linked = {pairs[0][0]}
    for _ in range(count):
        more = {side for pair in pairs if linked & set(pair) for side in pair}
        if more <= linked:
            break
        linked |= more
    assert len(linked) == count


def test_the_pool_tells_what_choosing_needs(desk):
    """Weight, domain, difficulty and the question's number come with each example, its words do not."""
    heavy = example("a", "Fix both", '{"files": ["a.py", "b.py"]}').model_copy(
        update={"weight": 1.5, "tags": ("language:python", "domain:math")}
    )
    bring(desk.store, heavy, example("b", "Fix both", "done"))
    with desk.store.read() as session:
        assert [(one.question, one.words) for one in pool(session, "l")] == [(0, 0), (0, 0)], "not compared yet"
    compare_new(desk.store, {})
    with desk.store.read() as session:
        first, second = pool(session, "l")
    assert (first.weight, first.domain, first.files, first.question) == (1.5, "math", 2, 1)
    assert (second.weight, second.domain, second.files, second.question, second.words) == (1.0, "", 0, 1, 1)


def test_what_another_scheme_stored_is_made_anew(desk, monkeypatch):
    """A store that an earlier way of sketching filled is filled again, from the beginning."""
    bring(desk.store, example("a", LONG, CODE), example("b", f"{LONG} please", CODE))
    compare_new(desk.store, {})
    before = everything(desk.store)
    monkeypatch.setattr(comparisons, "SCHEME", "another")
    compare_new(desk.store, {})
    assert everything(desk.store) == before


def test_what_is_forgotten_leaves_no_trace(desk):
    """Sketches go with their examples; a question stays known while somebody else asks it."""
    bring(desk.store, example("a", LONG, CODE), example("b", LONG, "something else"), example("c", f"{LONG} now", CODE))
    compare_new(desk.store, {})
    with desk.store.write() as session:
        forget_sketches(session, [1, 3])
    answers, near, pairs, bands, questions = everything(desk.store)
    assert [row["example"] for row in answers] == [2]
    assert (near, pairs) == ([], [])
    assert [row["number"] for row in questions] == [1], "its number stays that of who asked it first"
    assert {row["question"] for row in bands} == {1}
    with desk.store.write() as session:
        forget_sketches(session, [2])
    assert everything(desk.store) == [[], [], [], [], []]


@pytest.mark.asyncio
async def test_a_near_duplicate_is_left_out_and_counted(desk):
    """It stays in the pool, no dataset holds it, the manifest counts it, and it brings no dataset nearer."""
    desk.bring_many(0, 8)
    desk.bring(*(desk.outcome(90 + n, messages=(Message(role="user", content=f"{LONG} {n}"),)) for n in range(6)))
    await desk.settle()
    assert desk.counters()["examples"] == 14
    assert desk.counters()["examples_fresh_near"] == 5
    assert (await desk.room.propose()).waits == {"tool-calling": "needs 1 more example"}
    desk.bring_many(20, 30)
    await desk.settle()
    assert desk.last().left_out == {"near duplicate": 5}
    assert desk.counters()["examples_fresh_near"] == 0


@pytest.mark.asyncio
async def test_a_crash_between_admitting_and_comparing_lets_nothing_slip(desk, monkeypatch):
    """What was admitted and not compared is compared before anything is frozen."""
    with monkeypatch.context() as patched:
        patched.setattr("flywheel.curate.run.compare_new", lambda *_: 0)
        said = (desk.outcome(n, messages=(Message(role="user", content=f"{LONG} {n}"),)) for n in range(12))
        desk.bring(*said)
        await desk.cycle()
    desk.plan(minimum_examples=1)
    await desk.settle()
    assert desk.last().left_out == {"near duplicate": 11}
