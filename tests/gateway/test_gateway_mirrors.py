"""Calls for comparison: made after the agent has its answer, few, never shown, never waited for, and no arm's."""

import asyncio
import json
from typing import Any

import pytest
from gateway_house import BASE, NEW, OLD, House

from flywheel.core.routing import Alias, Arm, Hold, Mirror, Routing

SHADOW = "tool-calling@3"
MODELS = (BASE, OLD, NEW, SHADOW)


def mirrored(house: House, share: float = 1.0, **changes: Any) -> Routing:
    """Return the next routing: the alias on its old release, mirrored to the shadow."""
    routing = house.routing()
    alias = routing.aliases["tool-calling"].model_copy(update={"mirror": Mirror(model=SHADOW, share=share), **changes})
    return routing.model_copy(update={"aliases": {"tool-calling": alias}})


def asked(house: House) -> list[str]:
    """Return the models that the upstream was asked for."""
    return [seen.fields["model"] for seen in house.upstream.seen]


async def mirrors(house: House) -> dict[str, int]:
    async with house.client.get("/flywheel/routing") as response:
        told: dict[str, int] = (await response.json())["mirrors"]
        return told


# ── what is said ────────────────────────────────────────────────────────────


def test_what_has_its_default_stays_unsaid() -> None:
    """A routing without anything new has the bytes it always had, and one with it reads back equal."""
    alias = Alias(arms=(Arm(model="a", share=1.0, role="active"),))
    plain = Routing(version=1, upstreams=("http://h:1",), base_model="b", aliases={"l": alias})
    said = json.loads(plain.dump())
    assert said.keys() == {"version", "upstreams", "base_model", "aliases"}
    assert said["aliases"]["l"].keys() == {"arms"}
    for changes in ({"mirror": Mirror(model="m", share=0.5)}, {"capture": False}):
        aliases = {"l": alias, "k": alias.model_copy(update=changes)}
        routing = plain.model_copy(update={"aliases": aliases, "hold": Hold(run="r")})
        assert Routing.parse(routing.dump()) == routing
        said = json.loads(routing.dump())["aliases"]
        assert (said["l"].keys(), said["k"].keys()) == ({"arms"}, {"arms", *changes})


# ── what is done ────────────────────────────────────────────────────────────


@pytest.mark.asyncio
@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_is_repeated_for_comparison(house: House, *, stream: bool) -> None:
    """The mirror is asked the same; the agent sees the active release alone; the row says what it mirrors."""
    await house.start(models=MODELS)
    await house.apply(mirrored(house))
    headers = {"x-session-id": "s1", "x-task-id": "t1", "authorization": "Bearer sk-of-the-server"}
    response, body = await house.chat(headers=headers, stream=stream, temperature=0.5)
    assert response.headers["x-flywheel-model"] == OLD
    assert SHADOW.encode() not in body
    first, second = await house.rows(2)
    assert (first["arm"], first["mirrors"], first["model"]) == ("active", None, OLD)
    assert (second["arm"], second["mirrors"], second["model"]) == ("shadow", first["id"], SHADOW)
    assert (second["alias"], second["session"], second["task"]) == ("tool-calling", "s1", "t1")
    assert (second["status"], second["complete"], second["streamed"]) == (200, 1, int(stream))
    assert second["completion_tokens"] == first["completion_tokens"]
    assert json.loads(second["request"]) == {**json.loads(first["request"]), "model": SHADOW}
    assert asked(house) == [OLD, SHADOW]
    told = house.upstream.seen
    assert told[1].headers["Authorization"] == told[0].headers["Authorization"]
    assert await mirrors(house) == {"on_their_way": 0, "asked": 1, "dropped": 0}


@pytest.mark.asyncio
async def test_ollamas_calls_are_repeated_too(house: House) -> None:
    """Whatever dialect a call came in, the mirror is asked in the servers' own."""
    await house.start(models=MODELS)
    await house.apply(mirrored(house))
    question = {"model": "tool-calling", "messages": [{"role": "user", "content": "hello"}], "stream": False}
    async with house.client.post("/api/chat", json=question) as response:
        assert response.status == 200
    first, second = await house.rows(2)
    assert (second["arm"], second["mirrors"]) == ("shadow", first["id"])
    assert json.loads(second["request"])["messages"] == question["messages"]
    assert json.loads(second["response"])["choices"]


@pytest.mark.asyncio
async def test_a_share_of_the_sessions_is_mirrored(house: House) -> None:
    """Sessions are drawn once: all calls of a session are mirrored or none."""
    await house.start(models=MODELS, mirrors_at_once=100, mirrors_below=100)
    await house.apply(mirrored(house, 0.5))
    for number in range(60):
        await house.chat(headers={"x-session-id": f"s{number % 30}"})
    await house.until(lambda: not house.station.mirrors.tell()["on_their_way"])
    await asyncio.sleep(0.3)
    rows = house._rows()
    counts: dict[str, int] = {}
    for row in rows:
        if row["arm"] == "shadow":
            counts[row["session"]] = counts.get(row["session"], 0) + 1
    assert set(counts.values()) == {2}
    assert 5 < len(counts) < 25


@pytest.mark.asyncio
async def test_only_what_can_be_compared_is_mirrored(house: House) -> None:
    """Neither errors, nor the base's stand-in, nor a canary's answers, nor what is not captured, nor other names."""
    await house.start(models=MODELS)
    await house.apply(mirrored(house, capture=False))
    await house.chat()
    await house.apply(mirrored(house))
    await house.chat(BASE)
    await house.chat(OLD)
    async with house.client.post("/v1/embeddings", json={"model": "tool-calling", "input": "x"}) as response:
        assert response.status == 200
    house.upstream.models.discard(OLD)
    await house.chat()
    house.upstream.models.add(OLD)
    house.upstream.refuses_with = 400
    await house.chat()
    house.upstream.refuses_with = None
    canary = (Arm(model=NEW, share=1.0, role="canary"), Arm(model=OLD, share=0.0, role="active"))
    await house.apply(mirrored(house, arms=canary))
    await house.chat()
    await asyncio.sleep(0.1)
    assert SHADOW not in asked(house)
    assert await mirrors(house) == {"on_their_way": 0, "asked": 0, "dropped": 0}


@pytest.mark.asyncio
async def test_without_a_capture_nothing_is_mirrored(house: House) -> None:
    """What nobody keeps nobody compares."""
    await house.start(models=MODELS, capture=False)
    await house.apply(mirrored(house))
    await house.chat()
    await asyncio.sleep(0.1)
    assert asked(house) == [OLD]


@pytest.mark.asyncio
async def test_a_slow_or_broken_mirror_is_nobodys_trouble(house: House) -> None:
    """Answers come as fast as ever while the mirror hangs; one that is unknown or dies is a row that says so."""
    await house.start(models=(BASE, OLD, NEW))
    await house.apply(mirrored(house))
    assert (await house.chat())[0].status == 200
    _, shadow = await house.rows(2)
    assert (shadow["status"], shadow["arm"]) == (404, "shadow")
    house.upstream.models.add(SHADOW)
    house.upstream.chunk_seconds = 0.8
    answers = await asyncio.gather(*[house.chat(headers={"x-session-id": str(number)}) for number in range(3)])
    assert {response.status for response, _ in answers} == {200}
    assert (await mirrors(house))["on_their_way"] == 3, "the answers did not wait for them"
    await house.until(lambda: not house.station.mirrors.tell()["on_their_way"])


@pytest.mark.asyncio
async def test_mirrors_are_few_and_dropped_under_load(house: House) -> None:
    """Beyond their number, and with much to do, calls are answered and not mirrored, and that is counted."""
    await house.start(models=MODELS, mirrors_at_once=2, mirrors_below=4)
    await house.apply(mirrored(house))
    house.upstream.chunk_seconds = 0.4
    for _ in range(2):
        await asyncio.gather(*[house.chat(headers={"x-session-id": str(number)}) for number in range(4)])
    told = await mirrors(house)
    assert told["dropped"] >= 4
    assert told["on_their_way"] <= 2
    await house.until(lambda: not house.station.mirrors.tell()["on_their_way"])
    before = house.station.mirrors.asked
    answers = await asyncio.gather(*[house.chat(headers={"x-session-id": str(number)}) for number in range(12)])
    assert {response.status for response, _ in answers} == {200}
    assert house.station.mirrors.asked <= before + 2


@pytest.mark.asyncio
async def test_the_daemon_sees_mirrors_on_their_way(house: House) -> None:
    """A shadow is not unloaded under a call, and a training run does not begin beside one; a hold lets none begin."""
    await house.start(models=MODELS)
    await house.apply(mirrored(house))
    house.upstream.chunk_seconds = 0.3
    await house.chat()
    await house.until(lambda: house.station.in_flight.models() == {SHADOW: 1})
    assert house.station.holds.at_servers == 1
    await house.until(lambda: not house.station.in_flight.models())
    assert house.station.holds.at_servers == 0
    waiting = asyncio.create_task(house.chat())
    await house.until(lambda: len(house.upstream.seen) == 3)
    await house.apply(mirrored(house).model_copy(update={"hold": Hold(run="run-1")}))
    await waiting
    await asyncio.sleep(0.1)
    assert asked(house) == [OLD, SHADOW, OLD]


@pytest.mark.asyncio
async def test_a_client_that_leaves_is_not_mirrored(house: House) -> None:
    """What was given up has no answer to compare."""
    await house.start(models=MODELS)
    await house.apply(mirrored(house))
    house.upstream.chunk_seconds = 0.2
    leaving = asyncio.create_task(house.chat(stream=True))
    await house.until(lambda: house.upstream.streams_open)
    leaving.cancel()
    await house.until(lambda: not house.station.in_flight.total)
    assert len(await house.rows(1)) == 1
    await asyncio.sleep(0.1)
    assert asked(house) == [OLD]


@pytest.mark.asyncio
async def test_the_end_gives_mirrors_up(house: House) -> None:
    """A mirror that hangs does not keep the process from ending, and leaves nothing behind."""
    await house.start(models=MODELS)
    await house.apply(mirrored(house))
    house.upstream.chunk_seconds = 1.0
    await house.chat()
    await house.until(lambda: len(house.upstream.seen) == 2)
    assert house.station.mirrors.tell()["on_their_way"] == 1
    await house.station.mirrors.close()
    assert house.station.mirrors.tell() == {"on_their_way": 0, "asked": 1, "dropped": 1}
    assert len(await house.rows(1)) == 1
