"""The room: outcomes become examples once, datasets freeze whole, and the next cycle repairs what a crash left."""

import json
from datetime import UTC, datetime

import pytest

from flywheel.core.attempts import Retry
from flywheel.core.examples import prompt_key
from flywheel.core.intents import Intent
from flywheel.core.outcomes import Label, Labelled, Message
from flywheel.core.requests import Request
from flywheel.proc.files import file_hash
from flywheel.store.examples import example_standings, pool
from flywheel.store.requests import make_request, request_by_id

pytestmark = pytest.mark.asyncio


def examples(desk):
    with desk.store.read() as session:
        return pool(session, desk.line.name)


def rows(desk, part):
    path = desk.folder / desk.last().hash / f"{part}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_only_sure_positive_tool_calls_are_admitted(desk):
    """Negative, unknown, unsure, callless and secret outcomes are left out, each counted by its reason."""
    desk.labels(require_tool_call=True)
    secret = "gh" + "p_" + "aB3dE6gH9" * 4
    desk.bring(
        desk.outcome(1),
        desk.outcome(2, Label.NEGATIVE),
        desk.outcome(3, Label.UNKNOWN),
        desk.outcome(4, labelled=Labelled(label=Label.POSITIVE, confidence=0.6)),
        desk.outcome(5, response="I would read the file."),
        desk.outcome(6, messages=(Message(role="user", content=secret),)),
    )
    assert await desk.cycle() == ["curate.admit_examples"]
    assert [one.category for one in examples(desk)] == ["read_file"]
    assert desk.counters() | {"outcomes_positive": 0} == {
        "examples": 1, "examples_fresh": 1, "left_out/negative": 1, "left_out/no_tool_call": 1, "left_out/secret": 1,
        "left_out/unknown": 1, "left_out/unsure": 1, "outcomes_negative": 1, "outcomes_positive": 0,
        "outcomes_unknown": 1,
    }  # fmt: skip
    assert await desk.cycle() == []


async def test_the_same_answer_is_one_example(desk):
    """Equal answers to equal questions are one example; other answers are others."""
    question = (Message(role="user", content="same  question"),)
    folded = (Message(role="user", content="same question"),)
    desk.bring(
        desk.outcome(1, messages=question),
        desk.outcome(2, messages=folded),
        desk.outcome(3, messages=folded, response="x"),
    )
    await desk.cycle()
    assert len(examples(desk)) == 2
    assert desk.counters()["examples_duplicate"] == 1


async def test_an_example_leaves_when_its_evidence_does(desk):
    """A label that fell withdraws the example, another outcome carries it, and it returns with new evidence."""
    question = (Message(role="user", content="q"),)
    first, second = (desk.outcome(number, messages=question) for number in (1, 2))
    fallen = Labelled(label=Label.NEGATIVE, confidence=0.9)
    desk.bring(first, second)
    await desk.cycle()
    desk.bring(first.model_copy(update={"labelled": fallen}))
    await desk.cycle()
    assert len(examples(desk)) == 1, "the second outcome carries it"
    desk.bring(second.model_copy(update={"labelled": fallen}))
    await desk.cycle()
    assert examples(desk) == []
    assert desk.counters()["examples"] == desk.counters()["examples_fresh"] == 0
    desk.bring(second)
    await desk.cycle()
    assert len(examples(desk)) == 1
    assert desk.counters()["examples"] == desk.counters()["examples_fresh"] == 1


async def test_a_dataset_is_frozen_when_the_line_is_due(desk):
    """Enough fresh examples freeze a dataset whose folder, record and event agree."""
    desk.bring_many(0, 9)
    await desk.settle()
    assert desk.last() is None
    assert (await desk.room.propose()).waits == {"tool-calling": "needs 1 more example"}
    desk.bring_many(9, 20)
    await desk.settle()
    manifest = desk.last()
    assert (manifest.number, manifest.examples, manifest.fresh, manifest.parent) == (1, 20, 20, None)
    for part, split in manifest.splits.items():
        path = desk.folder / manifest.hash / f"{part}.jsonl"
        assert file_hash(path) == split.sha256
        assert path.stat().st_mode & 0o777 == 0o644
    assert [row["messages"][0]["content"] for row in rows(desk, "test")] == [f"question {n}" for n in range(16, 20)]
    (event,) = desk.events("curate.dataset_frozen")
    assert event.subject == manifest.hash
    assert event.body["lost_examples"] == 0
    assert event.body["rows"] == {"test": 4, "train": 15, "valid": 1}
    assert (await desk.room.propose()).waits == {"tool-calling": "dataset 1 is under way"}


async def test_the_next_dataset_accumulates_and_rehearses(desk):
    """The second dataset holds all that taught in the first, no question of a suite, and 10 to 20 % rehearsal."""
    desk.bring_many(0, 40)
    await desk.settle()
    first = desk.last()
    taught = {row["example"] for part in ("train", "valid") for row in rows(desk, part)}
    examined = {prompt_key((Message(**row["messages"][0]),)) for row in rows(desk, "test")}
    desk.suite(*examined)
    desk.bring_many(40, 45)
    await desk.settle()
    assert desk.last().hash == first.hash, "the first one has not been trained yet"
    desk.bring_many(45, 80)
    await desk.settle()
    second = desk.last()
    train, valid = rows(desk, "train"), rows(desk, "valid")
    assert (second.number, second.parent, second.fresh) == (2, first.hash, 40)
    assert taught <= {row["example"] for row in [*train, *valid]}
    assert 0.10 <= second.replay_share <= 0.20
    assert sum(row["replay"] for row in train) == second.replayed
    assert "test" not in second.splits
    questions = {prompt_key(tuple(Message(**m) for m in row["messages"][:-1])) for row in [*train, *valid]}
    assert not questions & examined
    assert second.left_out == {"question stands in a suite": len(examined)}


async def test_a_question_of_another_lines_suite_never_teaches(desk):
    """Suites of every line are kept out of every dataset."""
    desk.suite(prompt_key((Message(role="user", content="question 0"),)), line="other")
    desk.bring_many(0, 20)
    await desk.settle()
    assert desk.last().left_out == {"question stands in a suite": 1}


async def test_a_withdrawn_example_leaves_the_next_dataset(desk):
    """What lost its evidence is gone from the next dataset and is not counted as lost."""
    desk.bring_many(0, 20)
    await desk.settle()
    desk.trained()
    fallen = desk.outcome(0, Label.NEGATIVE)
    desk.bring(fallen)
    desk.bring_many(20, 40)
    await desk.settle()
    (*_, event) = desk.events("curate.dataset_frozen")
    assert event.body["number"] == 2
    assert event.body["lost_examples"] == 0
    assert "question 0" not in {row["messages"][0]["content"] for row in rows(desk, "train")}


async def test_a_crash_before_the_record_freezes_the_same_hash(desk, monkeypatch):
    """A crash between folder and record is repaired by the next cycle under the same hash, even with news waiting."""
    desk.bring_many(0, 20)
    await desk.cycle()

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(desk.room), "_record", crash)
        freeze = Intent(kind="curate.freeze_dataset", line="tool-calling", subject="tool-calling", why="w")
        with pytest.raises(KeyboardInterrupt):
            desk.room._freeze(freeze, None)
    (orphan,) = desk.folder.iterdir()
    desk.bring_many(20, 25)
    desk.clock.advance(60)
    desk.room = desk.new_room()
    await desk.settle()
    assert desk.last().hash == orphan.name
    assert [folder.name for folder in desk.folder.iterdir()] == [orphan.name]
    assert len(desk.events("curate.dataset_frozen")) == 1
    assert len(examples(desk)) == 25


async def test_freezing_twice_is_freezing_once(desk):
    """Performing the same intent again changes nothing."""
    desk.bring_many(0, 20)
    await desk.settle()
    before = desk.last()
    freeze = Intent(kind="curate.freeze_dataset", line="tool-calling", subject="tool-calling", why="w")
    await desk.room.perform(freeze, None)
    assert desk.last() == before


async def test_age_triggers(desk):
    """After the line's days something new is enough."""
    desk.bring_many(0, 20)
    await desk.settle()
    desk.trained()
    desk.bring_many(20, 21)
    await desk.settle()
    assert desk.last().number == 1
    desk.clock.advance(31 * 86400)
    await desk.settle()
    assert desk.last().number == 2


async def test_a_persons_request_freezes_what_is_there(desk):
    """A request freezes below the threshold and is answered; with nothing new it is refused with the reason."""
    asked = Request(
        id="r1", kind="train", line="tool-calling", subject="tool-calling", at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    desk.bring_many(0, 5)
    await desk.settle()
    with desk.store.write() as session:
        make_request(session, asked)
    await desk.settle()
    assert desk.last().examples == 5
    desk.trained()
    with desk.store.write() as session:
        make_request(session, asked.model_copy(update={"id": "r2"}))
    await desk.settle()
    with desk.store.read() as session:
        answers = [request_by_id(session, name) for name in ("r1", "r2")]
    assert [answer.state for answer in answers] == ["satisfied", "refused"]
    assert answers[1].answer == "tool-calling has no new examples since dataset 1"


async def test_a_set_that_turns_out_too_small_waits(desk):
    """When suites leave too few examples nothing is frozen and the reason is told."""
    desk.bring_many(0, 12)
    await desk.cycle()
    desk.suite(*(one.prompt_key for one in examples(desk)[:5]), line="other")
    (proposal,) = (await desk.room.propose()).proposals
    attempt = await desk.room.perform(proposal.intent, None)
    assert isinstance(attempt, Retry)
    assert "only 7 of 10" in attempt.reason


async def test_standings_tell_what_an_example_rests_on(desk):
    """An example names the outcome that carries it."""
    desk.bring(desk.outcome(1))
    await desk.cycle()
    (one,) = examples(desk)
    with desk.store.read() as session:
        assert example_standings(session, [one.id])[one.id].outcome == "k1"
