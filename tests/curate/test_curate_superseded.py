"""Examples whose evidence changed after they were frozen: the datasets stay, what they taught is named."""

import pytest

from flywheel.core.events import Event
from flywheel.core.outcomes import Label, Labelled, Message, Signal
from flywheel.core.training import AdapterManifest
from flywheel.store.examples import example_by_id, example_standings, pool
from flywheel.store.ledger import append
from flywheel.store.outcomes import retire_missing
from flywheel.store.releases import register
from flywheel.store.runs import adapter_by_name, record_adapter, run_of_dataset
from flywheel.store.supersessions import superseded
from flywheel.store.tables import SuiteRow

pytestmark = pytest.mark.asyncio

SUPERSEDED = "curate.examples_superseded"


def listed(desk):
    with desk.store.read() as session:
        return superseded(session, desk.line.name)


def publish(desk, number=1):
    """Let the newest dataset have been trained to an adapter that is registered."""
    desk.trained()
    with desk.store.write() as session:
        run = run_of_dataset(session, desk.last().hash)
        manifest = AdapterManifest(line=desk.line.name, number=number, hash="h" * 64, run=run.id, rank=8, files={},
                                   dataset=desk.last().hash, base_name="b", base_fingerprint="f",
                                   target_modules=())  # fmt: skip
        seq = append(session, Event(kind="train.adapter_published", at=desk.clock.now(), line=desk.line.name,
                                    subject=manifest.name))  # fmt: skip
        record_adapter(session, manifest, "adapters/1", seq)
        register(session, adapter_by_name(session, manifest.name), desk.clock.now(), seq)
    return manifest.name


def fall(desk, number, name="user_said_no"):
    signal = Signal(name=name, points=-1, strength=0.9)
    desk.bring(desk.outcome(number, labelled=Labelled(label=Label.NEGATIVE, confidence=0.9, signals=(signal,))))


async def frozen(desk):
    desk.bring_many(0, 20)
    await desk.settle()
    return desk.last()


def a_teacher(desk):
    """A number whose example teaches in the newest dataset."""
    train = (desk.folder / desk.last().hash / "train.jsonl").read_text()
    return next(number for number in range(20) if f'"question {number}"' in train)


async def test_a_fall_names_dataset_adapter_and_reason(desk):
    """When a frozen example's label falls, one event names the dataset and the adapter that learned it, and why."""
    dataset = await frozen(desk)
    before = {path.name: path.read_bytes() for path in (desk.folder / dataset.hash).iterdir()}
    name = publish(desk)
    number = a_teacher(desk)
    fall(desk, number)
    await desk.settle()
    (told,) = desk.events(SUPERSEDED)
    assert told.body == {
        "examples": 1,
        "datasets": [dataset.hash],
        "adapters": [{"name": name, "state": "registered"}],
        "reasons": {"user_said_no": 1},
    }
    (one,) = listed(desk)
    assert (one.outcome, one.label, one.reason, one.event) == (f"k{number}", "negative", "user_said_no", told.seq)
    assert [(held.hash, held.number, held.part) for held in one.datasets] == [(dataset.hash, 1, "train")]
    assert [made.name for made in one.adapters] == [name]
    assert {path.name: path.read_bytes() for path in (desk.folder / dataset.hash).iterdir()} == before


async def test_a_fall_before_anything_was_frozen_is_no_news(desk):
    """What no dataset holds is only withdrawn."""
    desk.bring_many(0, 5)
    await desk.settle()
    fall(desk, 1)
    await desk.settle()
    assert desk.events(SUPERSEDED) == []
    assert listed(desk) == []


async def test_each_fall_is_told_once(desk):
    """More cycles and the same reading again tell nothing new; a second fall after a return does."""
    await frozen(desk)
    number = a_teacher(desk)
    fall(desk, number)
    await desk.settle()
    fall(desk, number)
    await desk.settle()
    desk.room = desk.new_room()
    await desk.settle()
    assert len(desk.events(SUPERSEDED)) == 1
    desk.bring(desk.outcome(number))
    await desk.settle()
    assert listed(desk) == []
    fall(desk, number, "reverted")
    await desk.settle()
    assert len(desk.events(SUPERSEDED)) == 2
    assert [one.reason for one in listed(desk)] == ["reverted"]


async def test_an_adapter_published_after_the_fall_is_named_when_it_comes(desk):
    """A dataset that was frozen before the fall and trained after it taught the wrong thing: that is told, once."""
    await frozen(desk)
    fall(desk, a_teacher(desk))
    await desk.settle()
    (told,) = desk.events(SUPERSEDED)
    assert told.body["adapters"] == []
    name = publish(desk)
    await desk.settle()
    await desk.settle()
    _, later = desk.events(SUPERSEDED)
    assert (later.subject, later.body["examples"], later.body["adapters"][0]["name"]) == (name, 1, name)
    assert [made.name for made in listed(desk)[0].adapters] == [name]


async def test_an_adapter_that_learned_nothing_wrong_is_not_named(desk):
    """Looking is not telling: an adapter without fallen examples leaves no event, and is not looked at again."""
    await frozen(desk)
    publish(desk)
    assert "curate.report_superseded" in await desk.cycle()
    assert await desk.cycle() == []
    assert desk.events(SUPERSEDED) == []


async def test_an_edit_at_the_source_supersedes(desk):
    """When the source has an outcome no more, because it was edited there, its frozen example is superseded."""
    await frozen(desk)
    number = a_teacher(desk)
    with desk.store.write() as session:
        retire_missing(session, "agent", f"t{number}", frozenset({"edited"}))
    question = desk.outcome(number).messages
    desk.bring(desk.outcome(500, key="edited", task=f"t{number}", messages=question, response="new"))
    await desk.settle()
    (one,) = listed(desk)
    assert (one.label, one.reason) == ("unknown", "gone")


async def test_an_example_that_another_outcome_carries_is_not_superseded(desk):
    """While any outcome says that the same answer was right, nothing fell."""
    await frozen(desk)
    number = a_teacher(desk)
    desk.bring(desk.outcome(number, key="again"))
    await desk.settle()
    fall(desk, number)
    await desk.settle()
    assert listed(desk) == []
    assert desk.events(SUPERSEDED) == []


async def test_an_outcome_that_left_its_line_takes_its_example_along(desk):
    """An outcome that is another line's by now teaches the first one no more."""
    await frozen(desk)
    number = a_teacher(desk)
    desk.bring(desk.outcome(number, line=None))
    await desk.settle()
    (one,) = listed(desk)
    assert one.reason == "it belongs to another line"
    with desk.store.read() as session:
        assert example_standings(session, [one.example])[one.example].withdrawn


async def test_what_was_held_out_names_the_suite(desk):
    """An example of the test part taught no adapter; the suite that asks it is named instead."""
    dataset = await frozen(desk)
    desk.suite("q")
    with desk.store.write() as session:
        session.get(SuiteRow, f"suite-{desk.line.name}").dataset = dataset.hash
    publish(desk)
    test = (desk.folder / dataset.hash / "test.jsonl").read_text()
    fall(desk, next(number for number in range(20) if f'"question {number}"' in test))
    await desk.settle()
    (one,) = listed(desk)
    assert one.adapters == ()
    assert one.suites == (f"suite-{desk.line.name}",)


async def test_an_outcome_that_says_something_else_moves_its_example(desk):
    """When the exact prompt becomes known later, the example of the inexact one goes and the new one comes."""
    desk.bring(desk.outcome(1))
    await desk.settle()
    exact = (Message(role="user", content="the exact question"),)
    desk.bring(desk.outcome(1, messages=exact, extra={"call": "c1"}))
    await desk.settle()
    with desk.store.read() as session:
        (one,) = pool(session, desk.line.name)
        found = example_by_id(session, one.id)
    assert found is not None
    assert found.prompt == exact
    assert desk.counters()["examples"] == 1
