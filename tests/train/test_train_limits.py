"""Runs that end before they are done: at a limit, without memory, or because a person asked; each says so once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from train_house import House

from flywheel.core.attempts import Done
from flywheel.core.events import Event
from flywheel.core.jobs import Ending, JobLimits, JobState
from flywheel.core.requests import Request, RequestKind
from flywheel.core.training import Hyperparameters, TrainSpec
from flywheel.daemon.places import shipped
from flywheel.policy.judging import judge
from flywheel.policy.loading import load_policies
from flywheel.store import jobs as job_rows
from flywheel.store.ledger import append
from flywheel.store.requests import make_request, request_by_id
from flywheel.train.batches import halved, why_starved


def batches(house: House, batch_size: int, accumulation: int = 1) -> None:
    """Let the line train with this batch."""
    values = Hyperparameters(batch_size=batch_size, accumulation=accumulation)
    _train(house, hyperparameters=values)


def _train(house: House, **given: Any) -> None:
    line = house.lines["l"]
    house.lines["l"] = line.model_copy(update={"train": line.train.model_copy(update=given)})


def ask(house: House, kind: RequestKind, subject: str, reason: str = "") -> str:
    """Ask as the command line does; return the request's id."""
    name, now = f"req-{kind}-{subject}", house.clock.now()
    with house.store.write() as session:
        cause = append(session, Event(kind="operator.request_made", at=now, line="l", subject=subject))
        made = Request(id=name, kind=kind, line="l", subject=subject, reason=reason, by="anna", at=now, cause=cause)
        make_request(session, made)
    return name


def answer(house: House, name: str) -> tuple[str, str]:
    """Return a request's state and answer."""
    with house.store.read() as session:
        found = request_by_id(session, name)
    assert found is not None
    return found.state, found.answer


def spec(batch_size: int, accumulation: int = 1, **given: Any) -> TrainSpec:
    values = Hyperparameters(batch_size=batch_size, accumulation=accumulation)
    return TrainSpec(line="l", dataset="d", base_name="b", base_fingerprint="f", hyperparameters=values, **given)


@given(st.integers(1, 64), st.integers(1, 8))
def test_the_next_smaller_batch_keeps_the_rows_of_a_step(batch_size: int, accumulation: int) -> None:
    """At most half, the same rows in a step, a run of its own; there is one unless the batch is 1."""
    found = halved(spec(batch_size, accumulation))
    assert (found is None) == (batch_size == 1)
    if found is not None:
        small = found.hyperparameters
        assert small.batch_size * small.accumulation == batch_size * accumulation
        assert small.batch_size <= batch_size / 2
        assert found.halved
        assert found.run_id != spec(batch_size, accumulation).run_id
        assert halved(found) is None


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (spec(4), "boom — with batch_size 4; 2 x 2 is tried once"),
        (spec(3), "boom — with batch_size 3; 1 x 3 is tried once"),
        (spec(1), "boom — with batch_size 1, than which there is no smaller one: lower max_length"),
        (spec(2, 2, halved=True), "boom — again, with the smaller batch_size 2: lower max_length"),
    ],
)
def test_running_out_of_memory_is_told_with_what_is_left_to_do(of: TrainSpec, words: str) -> None:
    """One sentence, with numbers and a mend."""
    assert why_starved(of, "boom").startswith(words)


@pytest.mark.asyncio
async def test_out_of_memory_is_tried_once_more_with_half_the_batch(house: House) -> None:
    """The first end, the change and the second start stand in the ledger, each caused by the one before."""
    batches(house, 4)
    first = await house.started()
    house.train(first, error="memory ran out: boom", ending=Ending.MEMORY)
    await house.do("train.close_run")
    wish = await house.proposal("train.start_run")
    assert wish.intent.why == "a run ran out of memory; the next smaller batch is tried once"
    await house.do("train.start_run")
    second = wish.intent.subject
    told = [event for event in house.events() if event.subject in {first, second}]
    assert [event.kind for event in told] == [
        "train.run_started", "train.run_failed", "train.batch_halved", "train.run_started",
    ]  # fmt: skip
    assert [event.cause for event in told[1:]] == [event.seq for event in told[:-1]]
    assert told[2].body == {"batch_size": [4, 2], "accumulation": [1, 2], "next": second}
    values = house.run(second).spec["hyperparameters"]
    assert (values["batch_size"], values["accumulation"]) == (2, 2)
    house.train(second)
    await house.do("train.publish_adapter")
    assert [adapter.run for adapter in house.adapters()] == [second]


@pytest.mark.asyncio
async def test_a_second_time_out_of_memory_is_the_end(house: House) -> None:
    """It fails by its sentence; nothing more is tried until a person asks, and then from the whole batch again."""
    batches(house, 4)
    first = await house.started()
    house.train(first, error="memory ran out: boom", ending=Ending.MEMORY)
    await house.do("train.close_run")
    await house.do("train.start_run")
    second = house.events("train.run_started")[-1].subject
    house.train(second, error="memory ran out: boom", ending=Ending.MEMORY)
    await house.do("train.close_run")
    assert "again, with the smaller batch_size 2" in house.run(second).error
    plan = await house.plan()
    assert plan.proposals == ()
    assert "`flywheel train l` tries again" in plan.waits["l"]
    ask(house, "train", "l")
    third = (await house.proposal("train.start_run")).intent.subject
    assert third not in {first, second}


@pytest.mark.asyncio
async def test_the_smallest_batch_is_not_halved(house: House) -> None:
    """There is no smaller one: it fails at once."""
    batches(house, 1, 4)
    run = await house.started()
    house.train(run, error="memory ran out: boom", ending=Ending.MEMORY)
    await house.do("train.close_run")
    assert house.events("train.batch_halved") == []
    assert (await house.plan()).proposals == ()


@pytest.mark.asyncio
async def test_the_smaller_batch_does_not_cost_a_run_of_the_day(house: House) -> None:
    """It stands for the run that ran out of memory, which was counted."""
    batches(house, 4)
    run = await house.started()
    house.train(run, error="memory ran out: boom", ending=Ending.MEMORY)
    await house.do("train.close_run")
    assert (await house.proposal("train.start_run")).facts["line.runs_today"] == 0


@pytest.mark.asyncio
async def test_a_crash_between_the_end_and_the_smaller_batch_changes_nothing(house: House) -> None:
    """Closing twice is closing once, and the same smaller run is wanted every time."""
    batches(house, 4)
    run = await house.started()
    house.train(run, error="memory ran out: boom", ending=Ending.MEMORY)
    wish = await house.proposal("train.close_run")
    for _ in range(2):
        await house.room.perform(wish.intent, wish.cause)
    assert len(house.events("train.batch_halved")) == 1
    assert await house.proposal("train.start_run") == await house.proposal("train.start_run")


@pytest.mark.asyncio
async def test_a_line_s_limits_reach_its_job(house: House) -> None:
    """With the place where they are set, for the sentence that ends a run."""
    _train(house, longest_hours=2.0, most_memory_gib=6.0, most_disk_gib=1.5)
    run = await house.started()
    assert house.job(run).limits == JobLimits(
        where="[train] of line l", longest_hours=2.0, most_memory_gib=6.0, most_disk_gib=1.5
    )


@pytest.mark.asyncio
@pytest.mark.parametrize(("free", "verdict"), [(40.0, "allow"), (1.5, "hold")])
async def test_too_little_disk_holds_a_run(house: House, free: float, verdict: str) -> None:
    """What a run's folder may take must be free before it starts; once there is room it starts by itself."""
    _train(house, most_disk_gib=2.0)
    house.machine["machine.free_disk_gib"] = free
    house.freeze()
    wish = await house.proposal("train.start_run")
    assert wish.facts["line.spare_disk_gib"] == 2.0
    rails = load_policies(shipped("policies"))
    only = rails.model_copy(update={"guardrails": tuple(r for r in rails.guardrails if r.name == "disk-low")})
    found = judge(wish.intent, wish.facts, only)
    assert found.judgement.value == verdict
    assert verdict == "allow" or "machine.free_disk_gib is 1.5" in found.sentence


@pytest.mark.asyncio
async def test_a_person_ends_a_run(house: House) -> None:
    """The job is told, its end is recorded with who and why, and the request is answered then, not before."""
    run = await house.started()
    name = ask(house, "cancel", run, "the GPU is needed")
    await house.do("train.cancel_run")
    assert house.job(run).unwanted == "anna ended it: the GPU is needed"
    assert answer(house, name) == ("open", "")
    assert (await house.plan()).proposals == ()
    house.train(run, error=house.job(run).unwanted, ending=Ending.CANCELLED)
    await house.do("train.close_run")
    (event,) = house.events("train.run_cancelled")
    assert (event.subject, event.body["reason"]) == (run, "anna ended it: the GPU is needed")
    assert event.cause == house.events("operator.request_made")[0].seq
    assert (house.run(run).state, house.job(run).handled) == ("cancelled", True)
    assert answer(house, name) == ("satisfied", f"{run} was ended before its first step")
    assert house.events("train.run_failed") == []


@pytest.mark.asyncio
async def test_a_cancelled_run_s_dataset_waits_until_it_is_asked_for(house: House) -> None:
    """Nothing starts by itself; when a person asks, another run begins on the same data."""
    run = await house.started()
    ask(house, "cancel", run)
    await house.do("train.cancel_run")
    house.train(run, error="anna ended it", ending=Ending.CANCELLED)
    await house.do("train.close_run")
    plan = await house.plan()
    assert plan.proposals == ()
    assert plan.waits == {"l": "the last run was cancelled; `flywheel train l` trains it after all"}
    ask(house, "train", "l")
    wish = await house.proposal("train.start_run")
    assert wish.intent.subject != run
    assert isinstance(await house.do("train.start_run"), Done)
    assert house.job(wish.intent.subject).state is JobState.QUEUED


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("subject", "words"), [("run-0", "there is no run run-0"), ("", "has ended already: finished")]
)
async def test_what_cannot_be_ended_is_refused(house: House, subject: str, words: str) -> None:
    """A run nobody knows, and one that has ended: the person reads why."""
    run = await house.trained()
    await house.do("train.publish_adapter")
    name = ask(house, "cancel", subject or run)
    await house.do("operator.refuse_request")
    state, said = answer(house, name)
    assert (state, said) == ("refused", words if subject else f"{run} {words}")
    assert len(house.events("operator.request_refused")) == 1
    assert (await house.plan()).proposals == ()


@pytest.mark.asyncio
async def test_a_wish_that_comes_too_late_loses_to_the_result(house: House) -> None:
    """A run whose job is finished is published; the wish is refused then."""
    run = await house.trained()
    name = ask(house, "cancel", run)
    assert [each.intent.kind for each in (await house.plan()).proposals] == ["train.publish_adapter"]
    await house.do("train.publish_adapter")
    await house.do("operator.refuse_request")
    assert answer(house, name) == ("refused", f"{run} has ended already: finished")
    with house.store.write() as session:
        assert not job_rows.ask_end(session, f"train-{run}", "too late")
