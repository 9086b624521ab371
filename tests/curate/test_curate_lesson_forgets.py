"""Forgetting: what a pair or a judgement said leaves every later dataset, and whoever learned it is named."""

import json

import pytest

from flywheel.core.events import Event
from flywheel.core.forgetting import ForgetReport, Scope
from flywheel.core.lines import TrainPlan
from flywheel.core.outcomes import Label, Labelled, Message
from flywheel.core.requests import Request
from flywheel.core.training import AdapterManifest
from flywheel.sources.forgets import ForgetRoom
from flywheel.store.judgements import standing_judgements
from flywheel.store.ledger import append
from flywheel.store.pairs import standing_pairs
from flywheel.store.releases import register
from flywheel.store.requests import make_request
from flywheel.store.runs import adapter_by_name, record_adapter, run_of_dataset

pytestmark = pytest.mark.asyncio

BAD = Label.NEGATIVE


def technique(desk, name):
    desk.line = desk.line.model_copy(update={"train": TrainPlan(technique=name)})
    desk.plan(minimum_examples=5, minimum_pairs=5, minimum_judgements=10)


def bring(desk, first, last):
    """Questions answered badly in one session and well in another."""
    for number in range(first, last):
        same = {"messages": (Message(role="user", content=f"question {number} of mine"),)}
        desk.bring(
            desk.outcome(2 * number, BAD, response=f"bad {number}", session=f"bad-{number}", task=f"b{number}", **same),
            desk.outcome(
                2 * number + 1, response=f"good {number}", session=f"good-{number}", task=f"g{number}", **same
            ),
        )


def publish(desk):
    """Let the newest dataset have been trained to an adapter in front of the agent."""
    desk.trained()
    with desk.store.write() as session:
        run = run_of_dataset(session, desk.last().hash)
        manifest = AdapterManifest(line=desk.line.name, number=1, hash="h" * 64, run=run.id, rank=8, files={},
                                   dataset=desk.last().hash, base_name="b", base_fingerprint="f",
                                   target_modules=())  # fmt: skip
        seq = append(session, Event(kind="train.adapter_published", at=desk.clock.now(), line=desk.line.name,
                                    subject=manifest.name))  # fmt: skip
        record_adapter(session, manifest, "adapters/1", seq)
        register(session, adapter_by_name(session, manifest.name), desk.clock.now(), seq)
    return manifest.name


async def forget(desk, kind, name, **values):
    """Let a person have forgotten it; return what was found."""
    room = ForgetRoom(desk.store, desk.clock, desk.folder.parent)
    scope = Scope(kind=kind, name=name, **values)
    asked = Request(
        id=f"r-{len(desk.events())}",
        kind="forget",
        line="",
        subject=f"{kind} 1",
        at=desk.clock.now(),
        body={"scope": scope.model_dump()},
    )
    with desk.store.write() as session:
        make_request(session, asked)
    for proposal in (await room.propose()).proposals:
        await room.perform(proposal.intent, None)
    told = desk.events("operator.records_forgotten")[-1].body
    return ForgetReport(**{name: told[name] for name in ForgetReport.model_fields})


def said(desk, name):
    path = desk.folder / desk.last().hash / f"{name}.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {text for row in rows for text in (row.get("chosen"), row.get("rejected"), row.get("completion")) if text}


def taught(desk, parts):
    return set().union(*(said(desk, part) for part in parts))


@pytest.mark.parametrize(("name", "parts"), [("dpo", ("pairs", "pairs_valid")), ("kto", ("judged", "judged_valid"))])
async def test_a_forgotten_answer_leaves_and_who_learned_it_is_named(desk, name, parts):
    """A bad answer that stands in pairs or judgements alone: dataset and adapter are named, the next one is without."""
    technique(desk, name)
    bring(desk, 0, 30)
    await desk.settle()
    dataset, adapter = desk.last().hash, publish(desk)
    number = int(next(one for one in sorted(taught(desk, parts)) if one.startswith("bad")).split()[1])
    report = await forget(desk, "session", f"bad-{number}")
    assert [held.hash for held in report.datasets] == [dataset]
    assert [made.name for made in report.adapters] == [adapter]
    assert (report.outcomes, report.examples, report.pairs) == (1, 0, 1)
    bring(desk, 30, 60)
    await desk.settle()
    assert desk.last().number == 2
    assert f"bad {number}" not in taught(desk, parts)
    assert desk.events("curate.dataset_frozen")[-1].body["lost_examples"] == 0
    again = await forget(desk, "session", f"bad-{number}")
    assert again.datasets == ()


async def test_a_forgotten_example_takes_its_pairs_along(desk):
    """Both the answer and the pair it stood in are gone from what is frozen later; purging deletes the files."""
    technique(desk, "sft-dpo")
    bring(desk, 0, 30)
    await desk.settle()
    dataset = desk.last().hash
    row = json.loads((desk.folder / dataset / "train.jsonl").read_text().splitlines()[0])
    answer = row["messages"][-1]["content"]
    report = await forget(desk, "example", row["example"], purge=True)
    assert (report.outcomes, report.examples, report.pairs) == (1, 1, 1)
    assert not (desk.folder / dataset).exists()
    bring(desk, 30, 60)
    await desk.settle()
    assert desk.last().number == 2
    assert answer not in taught(desk, ("pairs", "pairs_valid"))
    with desk.store.read() as session:
        assert len(standing_pairs(session, desk.line.name)) == 59


@pytest.mark.parametrize(("name", "part"), [("dpo", "pairs"), ("kto", "judged")])
async def test_what_lost_its_evidence_teaches_no_more(desk, name, part):
    """A label that fell, or rose, takes pair and judgement out of the next dataset; the frozen one stays."""
    technique(desk, name)
    bring(desk, 0, 30)
    await desk.settle()
    before = {path.name: path.read_bytes() for path in (desk.folder / desk.last().hash).iterdir()}
    first = desk.last().hash
    desk.trained()
    number = int(next(one for one in sorted(said(desk, part)) if one.startswith("bad")).split()[1])
    same = {"messages": (Message(role="user", content=f"question {number} of mine"),), "task": f"b{number}"}
    unknown = Labelled(label=Label.UNKNOWN, confidence=0.0)
    desk.bring(desk.outcome(2 * number, response=f"bad {number}", session=f"bad-{number}", labelled=unknown, **same))
    bring(desk, 30, 60)
    await desk.settle()
    assert desk.last().number == 2
    assert f"bad {number}" not in taught(desk, (part, f"{part}_valid"))
    assert {path.name: path.read_bytes() for path in (desk.folder / first).iterdir()} == before


async def test_bad_answers_follow_their_outcomes(desk):
    """They come and go with label, confidence and line, whatever the technique; each is there once."""

    async def standing():
        await desk.settle()
        with desk.store.read() as session:
            return [key for _, key in standing_judgements(session, desk.line.name)]

    desk.bring(desk.outcome(1, BAD), desk.outcome(2), desk.outcome(3, BAD, response="[ERROR] 500"),
               desk.outcome(4, BAD, labelled=Labelled(label=BAD, confidence=0.5)))  # fmt: skip
    assert await standing() == ["k1"]
    desk.bring(desk.outcome(1, BAD, line="other"))
    assert await standing() == []
    desk.bring(desk.outcome(1, BAD), desk.outcome(2, BAD))
    assert await standing() == ["k1", "k2"]
    desk.bring(desk.outcome(2))
    assert await standing() == ["k1"]
