"""Whatever was fused below it: a candidate is compared with the base that never was trained."""

import asyncio
from collections import Counter

import pytest
from gate_house import ScriptedServer

from flywheel.core.attempts import Failed
from flywheel.core.releases import ReleaseState
from flywheel.gate.measuring import main
from flywheel.gate.specs import MeasureSpec
from flywheel.store import jobs, releases

LAYERED = {"bases": {"tiny": "base", "tiny-1": "fused"}, "originals": {"tiny-1": "tiny"}}


def layer(world, **more):
    """Give the line a base with one layer, beside the base below it."""
    world.server = world.server.model_copy(update={**LAYERED, **more})
    world.lines["scope"] = world.lines["scope"].model_copy(update={"base": "tiny-1"})


async def step(world):
    return [await world.room.perform(p.intent, p.cause) for p in (await world.room.propose()).proposals]


def spec_of(world):
    with world.store.read() as session:
        (job,) = jobs.unhandled_jobs(session, "measure")
    return job, MeasureSpec.model_validate({k: v for k, v in job.spec.items() if k in MeasureSpec.model_fields})


@pytest.mark.asyncio
async def test_the_original_base_is_the_one_to_beat(world):
    """The base below all layers answers beside the candidate, at its own server; the fused one is not asked."""
    async with ScriptedServer() as fused, ScriptedServer() as original:
        servers = {"tiny-1": fused.url, "tiny": original.url}
        layer(world, url=fused.url, servers=servers)
        world.freeze_dataset()
        world.register(1, server=fused.url, base="tiny-1")
        await step(world)
        await step(world)
        job, spec = spec_of(world)
        assert spec.models == {"base": "base", "candidate": "scope@1"}
        assert (spec.server, spec.base_server) == (fused.url, original.url)
        assert await asyncio.to_thread(main, job.spec["argv"][3:]) == 0
        asked = [Counter(model for model, _, _ in server.asked.elements()) for server in (fused, original)]
    assert [set(counts) for counts in asked] == [{"scope@1"}, {"base"}]
    assert asked[0]["scope@1"] == asked[1]["base"] > 0


@pytest.mark.asyncio
async def test_a_base_without_layers_is_compared_with_itself(world):
    """Where a base has a server of its own, it and its adapters are asked there, and nowhere else."""
    world.server = world.server.model_copy(update={"servers": {"tiny": "http://127.0.0.1:8009"}})
    world.freeze_dataset()
    world.register(1, server="http://127.0.0.1:8009")
    await step(world)
    await step(world)
    _, spec = spec_of(world)
    assert (spec.server, spec.base_server, spec.models["base"]) == ("http://127.0.0.1:8009", "", "base")


@pytest.mark.asyncio
async def test_without_the_original_nothing_is_measured(world):
    """The line says which base is missing."""
    layer(world, bases={"tiny-1": "fused"})
    world.freeze_dataset()
    await step(world)
    world.register(1, base="tiny-1")
    assert (await world.room.propose()).waits == {"scope": "no model server serves base 'tiny'"}


@pytest.mark.asyncio
async def test_an_adapter_of_another_base_is_not_measured(world):
    """It is refused by name, whatever a server still holds."""
    layer(world)
    world.freeze_dataset()
    world.register(1, base="tiny")
    await step(world)
    (attempt,) = await step(world)
    assert isinstance(attempt, Failed)
    assert attempt.reason == "scope@1 was trained on base 'tiny', and scope is on 'tiny-1' now"


@pytest.mark.asyncio
async def test_the_active_adapter_of_another_base_is_not_waited_for(world):
    """No server of the new base will ever hold it; the candidate is compared with the base alone."""
    world.freeze_dataset()
    await step(world)
    world.register(1, base="tiny", warm=False)
    with world.store.write() as session:
        releases.move(session, "scope@1", ReleaseState.CANARY, world.clock.now(), 1)
        releases.move(session, "scope@1", ReleaseState.ACTIVE, world.clock.now(), 1)
    layer(world)
    world.register(2, base="tiny-1")
    await step(world)
    _, spec = spec_of(world)
    assert set(spec.models) == {"base", "candidate"}
