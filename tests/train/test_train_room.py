"""From a frozen dataset to a published adapter, once, whatever is interrupted on the way."""

import json
from pathlib import Path

import pytest
from train_house import House, KilledError, once_at

from flywheel.core.attempts import Attempt, Done, Failed, Retry
from flywheel.core.facts import FACTS, check_facts
from flywheel.core.jobs import JobState
from flywheel.core.lines import Line
from flywheel.store.runs import pinned_base
from flywheel.train.adapters import is_whole
from flywheel.train.fingerprints import Prints, fingerprint, prints

pytestmark = pytest.mark.asyncio


def sentence(attempt: Attempt) -> str:
    assert isinstance(attempt, Done)
    return attempt.sentence


async def test_a_dataset_becomes_a_published_adapter(house: House) -> None:
    """Every step stands in the ledger with the event that led to it, and afterwards nothing more is wanted."""
    digest, frozen = house.freeze()
    start = await house.proposal("train.start_run")
    run = start.intent.subject
    assert start.cause == frozen
    assert sentence(await house.do("train.start_run")) == f"started {run} for l"
    house.train(run)
    assert sentence(await house.do("train.publish_adapter")).startswith("published l@1 (1-")
    told = house.events()
    assert [event.kind for event in told] == [
        "curate.dataset_frozen", "train.base_pinned", "train.run_started", "train.run_finished",
        "train.adapter_published",
    ]  # fmt: skip
    seqs = [event.seq for event in told]
    assert [event.cause for event in told] == [None, seqs[0], seqs[0], seqs[2], seqs[3]]
    (adapter,) = house.adapters()
    assert (adapter.name, adapter.run, adapter.seq) == ("l@1", run, seqs[4])
    assert is_whole(Path(adapter.path))
    assert told[4].body == {"hash": adapter.hash, "run": run, "dataset": digest}
    assert (house.run(run).state, house.run(run).result["loss"]) == ("finished", 0.5)
    assert house.job(run).handled
    assert (await house.plan()).proposals == ()


async def test_a_job_says_everything_its_program_needs(house: House) -> None:
    """The command, its environment and its orders follow the spec, and only rows that exist are ordered."""
    house.freeze(valid=4)
    await house.do("train.start_run")
    run = house.events("train.run_started")[0].subject
    job = house.job(run)
    assert (job.state, job.line, job.subject, job.spec["result"]) == (JobState.QUEUED, "l", run, "out/result.json")
    assert job.cause == house.events("train.run_started")[0].seq
    assert job.spec["argv"][0] == str(house.places.python)
    orders = json.loads(Path(job.spec["argv"][2]).read_text())
    assert orders["base"] == str(house.base)
    assert orders["valid"] == str(house.places.datasets / "l-dataset-1" / "valid.jsonl")
    assert orders["hyperparameters"]["rank"] == 16


async def test_a_run_is_started_once(house: House) -> None:
    """A second go at the same intent finds it started: one run, one job, one event."""
    house.freeze()
    wish = await house.proposal("train.start_run")
    await house.room.perform(wish.intent, wish.cause)
    before = house.everything()
    again = await house.room.perform(wish.intent, wish.cause)
    assert again == Done(sentence=f"{wish.intent.subject} is no longer wanted", changed=False)
    assert house.everything() == before
    assert (await house.plan()).proposals == ()
    assert (await house.plan()).waits == {"l": f"{wish.intent.subject} waits for its turn"}


async def test_a_newer_dataset_makes_the_older_run_unwanted(house: House) -> None:
    """Between the plan and the deed another dataset was frozen: the deed does not start yesterday's run."""
    house.freeze()
    wish = await house.proposal("train.start_run")
    house.freeze()
    attempt = await house.room.perform(wish.intent, wish.cause)
    assert isinstance(attempt, Done)
    assert not attempt.changed
    assert house.events("train.run_started") == []


@pytest.mark.parametrize("boundary", [1, 2])
async def test_a_crash_while_starting_is_repaired(house: House, boundary: int) -> None:
    """Before or after the transaction: the next cycle ends in the same place as an undisturbed one."""
    house.freeze()
    wish = await house.proposal("train.start_run")
    house.steps._listener = once_at(boundary)
    with pytest.raises(KilledError):
        await house.room.perform(wish.intent, wish.cause)
    house.steps._listener = None
    for proposal in (await house.plan()).proposals:
        await house.room.perform(proposal.intent, proposal.cause)
    assert len(house.events("train.run_started")) == len(house.events("train.base_pinned")) == 1
    assert house.job(wish.intent.subject).state is JobState.QUEUED
    assert (await house.plan()).proposals == ()


@pytest.mark.parametrize("boundary", [1, 2])
async def test_a_crash_while_publishing_is_repaired(house: House, boundary: int) -> None:
    """The folder is there and the row is not, or both and nobody heard: one adapter, one number, one folder."""
    await house.trained()
    wish = await house.proposal("train.publish_adapter")
    house.steps._listener = once_at(boundary)
    with pytest.raises(KilledError):
        await house.room.perform(wish.intent, wish.cause)
    house.steps._listener = None
    assert len(list(house.places.adapters.glob("l/*"))) == 1
    assert len(house.adapters()) == boundary - 1
    await house.room.perform(wish.intent, wish.cause)
    once = house.everything()
    await house.room.perform(wish.intent, wish.cause)
    assert [event.kind for event in house.events()].count("train.adapter_published") == 1
    assert [adapter.name for adapter in house.adapters()] == ["l@1"]
    assert house.everything()[0] == once[0]
    assert house.everything()[4] == once[4]
    assert (await house.plan()).proposals == ()


async def test_numbers_go_on(house: House) -> None:
    """The next run's adapter gets the next number."""
    for _ in range(2):
        await house.trained()
        await house.do("train.publish_adapter")
    assert [adapter.name for adapter in house.adapters()] == ["l@1", "l@2"]
    assert len(house.events("train.base_pinned")) == 1


async def test_a_failed_run_is_closed_by_its_own_words(house: House) -> None:
    """The child's last error stands in ledger and run; its dataset is not tried again."""
    run = await house.started()
    house.train(run, error="CUDA out of memory")
    attempt = await house.do("train.close_run")
    assert sentence(attempt) == f"{run} failed: CUDA out of memory"
    (failed,) = house.events("train.run_failed")
    assert (failed.subject, failed.body) == (run, {"error": "CUDA out of memory"})
    assert failed.cause == house.events("train.run_started")[0].seq
    assert (house.run(run).state, house.run(run).error) == ("failed", "CUDA out of memory")
    assert house.job(run).handled
    assert (await house.plan()).proposals == ()


async def test_closing_twice_is_closing_once(house: House) -> None:
    """A crash after the transaction repeats the deed and not the event."""
    run = await house.started()
    house.train(run, error="boom")
    wish = await house.proposal("train.close_run")
    for _ in range(2):
        await house.room.perform(wish.intent, wish.cause)
    assert len(house.events("train.run_failed")) == 1


async def test_a_base_that_changed_meanwhile_fails_the_run_by_name(house: House) -> None:
    """No adapter of a base that is not the pinned one is published."""
    run = await house.trained()
    (house.base / "model.safetensors").write_bytes(b"other weights")
    assert "base 'tiny' changed while" in sentence(await house.do("train.publish_adapter"))
    assert house.run(run).state == "failed"
    assert house.adapters() == []
    assert not house.places.adapters.exists()
    assert (await house.plan()).proposals == ()


async def test_a_result_about_other_bytes_fails_the_run(house: House) -> None:
    """What the trainer reported is not what lies there."""
    run = await house.trained()
    tensors = house.places.runs / run / "out" / "adapter" / "adapter_model.safetensors"
    tensors.write_bytes(b"torn")
    assert "is not the one the run reported" in sentence(await house.do("train.publish_adapter"))
    assert house.run(run).state == "failed"
    assert house.adapters() == []


async def test_a_base_that_is_away_is_waited_for(house: House) -> None:
    """A disk that is not mounted fails no run: it is tried again, before training and after."""
    run = await house.trained()
    away = house.base.rename(house.folder / "away")
    assert isinstance(await house.do("train.publish_adapter"), Retry)
    bases, house.bases = house.bases, {}
    attempt = await house.do("train.publish_adapter")
    assert isinstance(attempt, Retry)
    assert "add [bases.tiny] again" in attempt.reason
    house.bases = bases
    away.rename(house.base)
    await house.do("train.publish_adapter")
    assert house.run(run).state == "finished"
    away = house.base.rename(house.folder / "away")
    house.freeze()
    plan = await house.plan()
    assert plan.proposals == ()
    assert plan.waits["l"].startswith("there is no model in")


async def test_a_missing_train_environment_is_told_with_its_mend(house: House) -> None:
    """Nothing is started or pinned that could not run."""
    house.freeze()
    house.places.python.unlink()
    attempt = await house.do("train.start_run")
    assert attempt == Failed(reason="the train environment is not there", mend="run `flywheel env create train`")
    assert [event.kind for event in house.events()] == ["curate.dataset_frozen"]


async def test_a_base_is_pinned_once_and_its_change_is_a_fact(house: House) -> None:
    """The first run pins the bytes; after any change the fact that guardrails look at is false."""
    run = await house.trained()
    await house.do("train.publish_adapter")
    pinned = house.events("train.base_pinned")[0].body["fingerprint"]
    assert pinned == fingerprint(house.base)
    house.freeze()
    assert (await house.proposal("train.start_run")).facts["base.fingerprint_is_frozen"] is True
    (house.base / "config.json").write_text('{"model_type": "other"}')
    assert (await house.proposal("train.start_run")).facts["base.fingerprint_is_frozen"] is False
    with house.store.read() as session:
        assert pinned_base(session, "tiny") == pinned
    assert run


async def test_settings_may_pin_a_base_before_its_first_use(house: House) -> None:
    """A fingerprint in the settings that does not fit is told before anything is trained."""
    house.freeze()
    for given, frozen in ((fingerprint(house.base), True), ("sha256:other", False)):
        house.bases = {"tiny": house.bases["tiny"].model_copy(update={"fingerprint": given})}
        assert (await house.proposal("train.start_run")).facts["base.fingerprint_is_frozen"] is frozen


async def test_the_facts_are_registered_and_say_what_is(house: House) -> None:
    """Every reading has its declared name and type; what curation told about the dataset is passed on."""
    house.lines["plan"] = Line(name="plan", why="w", base="tiny", planning=True, rung=1)
    house.freeze(largest_session_share=0.25, teacher_share=0.0, lost_examples=0, chatter="x")
    facts = (await house.proposal("train.start_run")).facts
    check_facts(facts)
    assert set(facts) <= set(FACTS)
    assert facts["dataset.largest_session_share"] == 0.25
    expected = {
        "base.fingerprint_is_frozen": True, "base.is_adapter": False, "base.parameters_billion": 0.5,
        "clock.in_idle_window": True, "dataset.examples": 17, "dataset.fresh": 9, "dataset.replay_share": 0.15,
        "line.is_planning": False, "line.rung": 3, "line.runs_per_day": 2, "line.runs_today": 0,
        "line.rounds_without_gain": 0, "ladder.lowest_other_rung": 3, "machine.gpus": 0, "parent.exists": False,
        "suite.exists": False, "suite.problems": 0,
    }  # fmt: skip
    assert {name: facts[name] for name in expected} == expected


async def test_the_runs_of_a_day_are_counted(house: House) -> None:
    """A run started within 24 hours counts, an older one does not."""
    await house.trained()
    await house.do("train.publish_adapter")
    house.freeze()
    for hours, count in ((23, 1), (2, 0)):
        house.clock.advance(hours * 3600)
        assert (await house.proposal("train.start_run")).facts["line.runs_today"] == count


async def test_a_held_run_does_not_read_the_base_in_every_cycle(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the files look the same their bytes are read once; before a start they are read anew."""
    read: list[Path] = []

    def counting(base: Path) -> Prints:
        read.append(base)
        return prints(base)

    monkeypatch.setattr("flywheel.train.pins.prints", counting)
    house.freeze()
    room = house.room
    for _ in range(3):
        plan = await room.propose()
    assert len(read) == 1
    await room.perform(plan.proposals[0].intent, None)
    assert len(read) == 2


@pytest.mark.parametrize("damage", ["changed", "gone"])
async def test_a_dataset_that_is_not_what_was_frozen_is_never_learned(house: House, damage: str) -> None:
    """Its bytes are checked before a run begins; once restored, the same run starts."""
    digest, _ = house.freeze(valid=3)
    path = house.places.datasets / digest / "valid.jsonl"
    good = path.read_bytes()
    if damage == "changed":
        path.write_bytes(good + b"{}\n")
    else:
        path.unlink()
    attempt = await house.do("train.start_run")
    assert isinstance(attempt, Failed)
    assert f"valid.jsonl of dataset {digest}" in attempt.reason
    assert str(path.parent) in attempt.mend
    assert house.events("train.run_started") == []
    path.write_bytes(good)
    assert isinstance(await house.do("train.start_run"), Done)
