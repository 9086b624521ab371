"""Layers: off by default and refused with the reason; where an operator allows them, made once, whole, and recorded."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from train_house import BASE, House, KilledError, once_at, write_tensors

from flywheel.core.attempts import Attempt, Done, Failed
from flywheel.core.bases import LINEAGE, Lineage
from flywheel.core.decisions import Judgement
from flywheel.core.events import Event
from flywheel.core.requests import Request
from flywheel.core.rooms import Proposal
from flywheel.daemon.bases import known_bases
from flywheel.daemon.settings import Settings
from flywheel.policy.guardrails import PolicySet
from flywheel.policy.judging import judge
from flywheel.policy.loading import load_policies
from flywheel.proc.files import file_hash
from flywheel.store import jobs as job_rows
from flywheel.store import requests as request_rows
from flywheel.store import runs as run_rows
from flywheel.store.ledger import append
from flywheel.train.fingerprints import lineage_of, prints
from flywheel.train.fusions import FusionPlaces, FusionRoom

POLICIES = load_policies(Path(__file__).parents[2] / "policies")
LAYERS_ALLOWED = PolicySet(
    guardrails=tuple(
        rail.model_copy(update={"mode": "observe"}) if rail.name == "base-not-an-adapter" else rail
        for rail in POLICIES.guardrails
    )
)  # fmt: skip

pytestmark = pytest.mark.asyncio


class Fusions:
    """A house with a published adapter, and a room that fuses."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.bases = house.folder / "bases"

    @property
    def room(self) -> FusionRoom:
        """Return a room as a daemon that just started would make it."""
        house = self.house
        places = FusionPlaces(
            adapters=house.places.adapters, runs=house.places.runs, bases=self.bases, python=house.places.python
        )
        return FusionRoom(house.store, house.clock, house.bases, places, lambda: set(house.bases))

    def ask(self, adapter: str = "l@1", base: str = "tiny-1", number: int = 1) -> str:
        """Ask as a person does; return the request's name."""
        name, now = f"req-{number}", self.house.clock.now()
        with self.house.store.write() as session:
            event = Event(kind="operator.request_made", at=now, line="l", subject=adapter, body={"request": name})
            seq = append(session, event)
            request = Request(id=name, kind="fuse", line="l", subject=adapter, at=now, cause=seq, by="a tester",
                              body={"base": base})  # fmt: skip
            request_rows.make_request(session, request)
        return name

    def answer(self, name: str) -> tuple[str, str]:
        """Return how a request stands and what was answered."""
        with self.house.store.read() as session:
            found = request_rows.request_by_id(session, name)
        assert found is not None
        return found.state, found.answer

    async def wish(self, kind: str) -> Proposal:
        """Return the one wish of the room, which is of this kind."""
        (found,) = (await self.room.propose()).proposals
        assert found.intent.kind == kind
        return found

    async def do(self, kind: str) -> Attempt:
        """Do the one wish."""
        wish = await self.wish(kind)
        return await self.room.perform(wish.intent, wish.cause)

    def work(self, name: str, error: str = "") -> None:
        """Do what the job's program does: leave a model and, last, its result."""
        job = f"fuse-{name}"
        out = self.house.places.runs / job / "out"
        if not error:
            (out / "model").mkdir(parents=True)
            for path in self.house.base.iterdir():
                (out / "model" / path.name).write_bytes(path.read_bytes())
            write_tensors(out / "model" / "model.safetensors", BASE, 0.75)
            digest = file_hash(out / "model" / "model.safetensors")
            (out / "result.json").write_text(
                json.dumps({"weights": {"model.safetensors": digest}, "largest_gap": 1e-6})
            )
        with self.house.store.write() as session:
            token = job_rows.take_over(session, job, self.house.clock.now(), timedelta(seconds=60))
            job_rows.finish(session, job, token, error)

    async def fused(self, number: int = 1, base: str = "tiny-1") -> str:
        """Bring a wish to its end."""
        name = self.ask(base=base, number=number)
        await self.do("train.fuse_adapter")
        self.work(name)
        await self.do("train.register_base")
        return name


async def fusions(house: House) -> Fusions:
    await house.trained()
    await house.do("train.publish_adapter")
    return Fusions(house)


async def test_it_is_refused_as_shipped_with_the_reason(house: House) -> None:
    """The guardrail says no; the person who asked reads why, and nothing is made."""
    here = await fusions(house)
    name = here.ask()
    wish = await here.wish("train.fuse_adapter")
    decision = judge(wish.intent, wish.facts, POLICIES)
    assert decision.judgement is Judgement.REFUSE
    assert "base.is_adapter is true, needs false" in decision.sentence
    body = {"intent": wish.intent.model_dump(mode="json"), "sentence": decision.sentence}
    with house.store.write() as session:  # as the cycle does
        append(session, Event(kind="policy.intent_refused", at=house.clock.now(), subject="l@1", body=body))
    await here.do("operator.refuse_request")
    assert here.answer(name) == ("refused", decision.sentence)
    assert not here.bases.exists()
    assert (await here.room.propose()).proposals == ()
    # Asked again after the policy was changed, the old refusal does not count.
    here.ask(number=2)
    wish = await here.wish("train.fuse_adapter")
    assert judge(wish.intent, wish.facts, LAYERS_ALLOWED).judgement is Judgement.ALLOW


async def test_where_it_is_allowed_the_result_is_a_base_with_its_lineage(house: House) -> None:
    """Folder, pin, ledger and answer say the same: which base, which adapter, which bytes."""
    here = await fusions(house)
    name = await here.fused()
    folder, adapter = here.bases / "tiny-1", house.adapters()[0]
    assert (folder / "model.safetensors").read_bytes() != (house.base / "model.safetensors").read_bytes()
    lineage = lineage_of(folder)
    assert lineage is not None
    assert lineage.words == "tiny + l@1"
    assert (lineage.original_fingerprint, lineage.layers[0].hash) == (prints(house.base).whole, adapter.hash)
    (told,) = house.events("train.base_fused")
    assert (told.body["lineage"], told.body["largest_gap"]) == (lineage.model_dump(mode="json"), 1e-6)
    found = prints(folder)
    with house.store.read() as session:
        assert run_rows.pinned_base(session, "tiny-1") == told.body["fingerprint"] == found.whole
        assert run_rows.pinned_parts(session, "tiny-1") == found.parts
    assert here.answer(name)[0] == "satisfied"
    assert "tiny + l@1" in here.answer(name)[1]
    assert house.events("train.fusion_started")[0].seq == told.cause
    assert (await here.room.propose()).proposals == ()


async def test_a_base_with_layers_is_refused_for_training_as_shipped(house: House) -> None:
    """Its facts say what it is; as shipped no run starts on it, and one that does has it in its manifest."""
    here = await fusions(house)
    await here.fused()
    settings = Settings(home=house.folder, bases={"tiny": {"path": house.base, "served_as": "t"}})
    house.bases = known_bases(settings)
    house.lines["l"] = house.lines["l"].model_copy(update={"base": "tiny-1"})
    house.freeze(base="tiny-1")
    wish = await house.proposal("train.start_run")
    told = {key: wish.facts[f"base.{key}"] for key in ("is_adapter", "layers", "fingerprint_is_frozen")}
    assert told == {"is_adapter": True, "layers": 1, "fingerprint_is_frozen": True}
    assert "base.is_adapter is true, needs false" in judge(wish.intent, wish.facts, POLICIES).sentence


async def test_layers_pile_up_in_order(house: House) -> None:
    """An adapter of a fused base, fused again, names the first base and both adapters, oldest first."""
    here = await fusions(house)
    await here.fused()
    house.bases = known_bases(Settings(home=house.folder, bases={"tiny": {"path": house.base, "served_as": "t"}}))
    house.lines["l"] = house.lines["l"].model_copy(update={"base": "tiny-1"})
    await house.trained()
    await house.do("train.publish_adapter")
    assert house.adapters()[1].manifest.base_name == "tiny-1"
    name = here.ask(adapter="l@2", base="tiny-2", number=2)
    wish = await here.wish("train.fuse_adapter")
    assert wish.facts["base.layers"] == 2
    await here.room.perform(wish.intent, wish.cause)
    here.work(name)
    await here.do("train.register_base")
    lineage = lineage_of(here.bases / "tiny-2")
    assert lineage is not None
    assert lineage.words == "tiny + l@1 + l@2"
    assert [layer.onto for layer in lineage.layers] == ["tiny", "tiny-1"]


@pytest.mark.parametrize(
    ("adapter", "base", "words"),
    [
        ("l@9", "tiny-1", "there is no adapter 'l@9' that was trained here"),
        ("l@1", "tiny", "there is a base 'tiny' already"),
        ("l@1", "../up", "'../up' cannot name a base"),
        ("l@1", "", "'' cannot name a base"),
    ],
)
async def test_what_cannot_be_is_answered_in_words(house: House, adapter: str, base: str, words: str) -> None:
    """No policy is asked about a wish that nobody could satisfy."""
    here = await fusions(house)
    name = here.ask(adapter, base)
    await here.do("operator.refuse_request")
    state, answer = here.answer(name)
    assert state == "refused"
    assert words in answer


async def test_a_base_that_changed_is_not_fused_into(house: House) -> None:
    """The adapter belongs to the bytes it was trained on."""
    here = await fusions(house)
    here.ask()
    wish = await here.wish("train.fuse_adapter")
    (house.base / "model.safetensors").write_bytes(b"weightz")
    attempt = await here.room.perform(wish.intent, wish.cause)
    assert isinstance(attempt, Failed)
    assert "l@1 was trained on other bytes of base 'tiny'" in attempt.reason
    again = await here.wish("train.fuse_adapter")
    assert again.facts["base.fingerprint_is_frozen"] is False


async def test_a_job_that_failed_is_the_answer(house: House) -> None:
    """With the program's own words; the name is free again."""
    here = await fusions(house)
    name = here.ask()
    await here.do("train.fuse_adapter")
    here.work(name, error="the fused model answers otherwise")
    await here.do("operator.refuse_request")
    assert here.answer(name) == ("refused", "fusing l@1 failed: the fused model answers otherwise")
    await here.fused(number=2)
    assert (here.bases / "tiny-1" / LINEAGE).exists()


async def test_a_result_that_is_not_the_jobs_is_refused(house: House) -> None:
    """Bytes that changed between the job's end and their place become no base."""
    here = await fusions(house)
    name = here.ask()
    await here.do("train.fuse_adapter")
    here.work(name)
    (house.places.runs / f"fuse-{name}" / "out" / "model" / "model.safetensors").write_bytes(b"other")
    await here.do("train.register_base")
    assert here.answer(name)[1].startswith("the fused model is not the one the job reported")
    assert not here.bases.exists()


@pytest.mark.parametrize("boundary", [1, 2])
@pytest.mark.parametrize("kind", ["train.fuse_adapter", "train.register_base"])
async def test_a_crash_is_repaired(house: House, kind: str, boundary: int) -> None:
    """Before or after the transaction: one job, one folder, one event, one answer."""
    here = await fusions(house)
    name = here.ask()
    if kind == "train.register_base":
        await here.do("train.fuse_adapter")
        here.work(name)
    wish = await here.wish(kind)
    house.steps._listener = once_at(boundary)
    with pytest.raises(KilledError):
        await here.room.perform(wish.intent, wish.cause)
    house.steps._listener = None
    for proposal in (await here.room.propose()).proposals:
        await here.room.perform(proposal.intent, proposal.cause)
    if kind == "train.fuse_adapter":
        here.work(name)
        await here.do("train.register_base")
    assert isinstance(await here.room.perform(wish.intent, wish.cause), Done)
    assert len(house.events("train.fusion_started")) == len(house.events("train.base_fused")) == 1
    assert here.answer(name)[0] == "satisfied"


async def test_bases_with_layers_are_found_beside_those_of_the_settings(house: House) -> None:
    """By their lineage; the settings may describe one, and a folder without a lineage is none."""
    here = await fusions(house)
    await here.fused()
    (here.bases / "stray").mkdir()
    settings = Settings(
        home=house.folder, bases={"tiny": {"path": house.base, "served_as": "t", "parameters_billion": 4}}
    )
    found = known_bases(settings)
    assert set(found) == {"tiny", "tiny-1"}
    assert (found["tiny-1"].served_as, found["tiny-1"].parameters, found["tiny"].lineage) == ("tiny-1", 4, None)
    assert isinstance(found["tiny-1"].lineage, Lineage)
    place = {"path": here.bases / "tiny-1", "served_as": "fused", "server": "http://127.0.0.1:8001"}
    described = known_bases(Settings(home=house.folder, bases={**settings.bases, "tiny-1": place}))
    assert (described["tiny-1"].served_as, described["tiny-1"].lineage) == ("fused", found["tiny-1"].lineage)
