"""Calls that come while the servers rest: held, answered when they are back, or by the fallback; never refused."""

import asyncio
import json
import time

import pytest
from gateway_house import BASE, OLD, House

from flywheel.core.routing import Fallback, Hold, Routing
from flywheel.gateway.doubles import UpstreamDouble

pytestmark = pytest.mark.asyncio

SMALL = "small-model"


def holding(house: House, seconds: float = 30, calls: int = 64, fallback: Fallback | None = None) -> Routing:
    """Return the next routing, which holds calls."""
    hold = Hold(run="run-1", seconds=seconds, calls=calls, fallback=fallback)
    return house.routing().model_copy(update={"hold": hold})


async def calls(house: House) -> dict[str, float]:
    """What the gateway tells the daemon of calls."""
    async with house.client.get("/flywheel/routing") as response:
        return (await response.json())["calls"]


async def test_a_held_call_is_answered_when_the_hold_is_lifted(house: House) -> None:
    """It waits without reaching a server, and its answer comes under the routing in force by then."""
    await house.start()
    await house.apply(holding(house))
    asked = asyncio.create_task(house.chat())
    await asyncio.sleep(0.3)
    assert (await calls(house))["held"] == 1
    assert not house.upstream.seen
    assert not asked.done()
    await house.apply(house.routing(1.0))
    response, body = await asked
    assert (response.status, json.loads(body)["model"]) == (200, "tool-calling@2")
    assert float(response.headers["x-flywheel-held"]) >= 0.3
    told = await calls(house)
    assert (told["held"], told["at_servers"], told["overdue"]) == (0, 0, 0)
    (row,) = await house.rows(1)
    assert (row["model"], row["arm"], row["routing_version"]) == ("tool-calling@2", "canary", house.version)
    assert row["latency_ms"] < 300, "how long a call was held is not the model's time"


async def test_streams_under_way_are_not_touched(house: House) -> None:
    """A stream that began before the hold goes on to its end, and the daemon sees it until then."""
    await house.start()
    house.upstream.chunk_seconds = 0.1
    await house.apply(house.routing())
    stream = asyncio.create_task(house.chat(stream=True))
    await house.until(lambda: house.upstream.streams_open)
    await house.apply(holding(house))
    assert (await calls(house))["at_servers"] == 1
    _, body = await stream
    assert body.endswith(b"[DONE]\n\n")
    assert (await calls(house))["at_servers"] == 0


async def test_after_the_limit_the_fallback_answers(house: House) -> None:
    """A call that waited long enough gets the fallback's answer under the fallback's model name, and is no arm's."""
    await house.start()
    other = await house.stack.enter_async_context(UpstreamDouble({SMALL}).running())
    await house.apply(holding(house, 0.2, fallback=Fallback(url=other.origin, model=SMALL)))
    began = time.monotonic()
    response, body = await house.chat(temperature=0.5)
    assert time.monotonic() - began >= 0.2
    assert (response.status, json.loads(body)["model"], response.headers["x-flywheel-model"]) == (200, SMALL, SMALL)
    assert other.seen[0].fields["temperature"] == 0.5
    assert not house.upstream.seen
    (row,) = await house.rows(1)
    assert (row["alias"], row["arm"], row["model"], row["fallback"], row["status"]) == (None, None, SMALL, 1, 200)
    stream, events = await house.chat(stream=True)
    assert (stream.status, events[-14:]) == (200, b"data: [DONE]\n\n")


async def test_too_many_held_calls_go_to_the_fallback_at_once(house: House) -> None:
    """The count is a limit, too: what comes beyond it does not wait."""
    await house.start()
    other = await house.stack.enter_async_context(UpstreamDouble({SMALL}).running())
    await house.apply(holding(house, 30, calls=2, fallback=Fallback(url=other.origin, model=SMALL)))
    waiting = [asyncio.create_task(house.chat()) for _ in range(2)]
    await house.until(lambda: house.station.holds.tell()["held"] == 2)
    response, _ = await asyncio.wait_for(house.chat(), 2)
    assert response.headers["x-flywheel-model"] == SMALL
    await house.apply(house.routing())
    assert [(await one)[0].headers["x-flywheel-model"] for one in waiting] == [OLD, OLD]


async def test_without_a_fallback_a_call_waits_on_and_is_told_overdue(house: House) -> None:
    """The gateway never refuses: it tells the daemon, and answers when the servers are back."""
    await house.start()
    await house.apply(holding(house, 0.1))
    asked = asyncio.create_task(house.chat())
    await house.until(lambda: house.station.holds.tell()["overdue"] == 1)
    assert not asked.done()
    await house.apply(house.routing())
    response, _ = await asked
    assert response.status == 200
    assert (await calls(house))["overdue"] == 0


@pytest.mark.parametrize("trouble", ["away", "unknown model", "dies"])
async def test_a_fallback_with_troubles_of_its_own_is_no_answer(house: House, trouble: str) -> None:
    """A fallback that is away, does not know its model or drops the call: the call waits for the servers after all."""
    await house.start()
    other = await house.stack.enter_async_context(UpstreamDouble(set()).running())
    url = "http://127.0.0.1:9" if trouble == "away" else other.origin
    if trouble == "dies":
        other.models, other.drops_requests = {SMALL}, 99
    await house.apply(holding(house, 0.05, fallback=Fallback(url=url, model=SMALL)))
    asked = asyncio.create_task(house.chat())
    await house.until(lambda: house.station.holds.tell()["overdue"] == 1)
    await house.apply(house.routing())
    response, body = await asked
    assert (response.status, json.loads(body)["model"]) == (200, OLD)
    assert len(await house.rows(1)) == 1, "one call is one row"


async def test_a_client_that_leaves_is_not_waited_for(house: House) -> None:
    """A held call whose client is gone counts no more."""
    await house.start()
    await house.apply(holding(house))
    asked = asyncio.create_task(house.chat())
    await house.until(lambda: house.station.holds.tell()["held"] == 1)
    asked.cancel()
    await house.until(lambda: house.station.holds.tell()["held"] == 0)
    assert not house.upstream.seen


async def test_other_doors_that_make_a_model_work_are_held_too(house: House) -> None:
    """Embeddings and the like wait or go to the fallback, which gets its own model's name; questions do not wait."""
    await house.start()
    other = await house.stack.enter_async_context(UpstreamDouble({SMALL}).running())
    await house.apply(holding(house, 0.1, fallback=Fallback(url=other.origin, model=SMALL)))
    async with house.client.post("/v1/embeddings", json={"model": BASE, "input": "x"}) as response:
        assert (response.status, json.loads(await response.text())["model"]) == (200, SMALL)
    assert not [seen for seen in house.upstream.seen if seen.method == "POST"]
    async with house.client.get("/v1/models") as response:
        assert response.status == 200
    await house.apply(house.routing())
    async with house.client.post("/v1/embeddings", json={"model": BASE, "input": "x"}) as response:
        assert json.loads(await response.text())["model"] == BASE


async def test_a_gateway_that_starts_in_a_hold_holds_from_its_first_call(house: House) -> None:
    """The file is read before the first call: a restart opens no gap."""
    house.write(Routing(version=7, upstreams=("http://127.0.0.1:9",), base_model=BASE, hold=Hold(run="run-1")).dump())
    await house.start()
    asked = asyncio.create_task(house.chat(BASE))
    await house.until(lambda: house.station.holds.tell()["held"] == 1)
    house.version = 7
    await house.apply(house.routing())
    assert (await asked)[0].status == 200


async def test_holding_and_releasing_under_load_loses_no_call(house: House) -> None:
    """Forty turns while calls come without pause: every one is answered, and none reaches a server that rests."""
    await house.start()
    await house.apply(house.routing())
    statuses: list[int] = []
    going = True

    async def ask(worker: int) -> None:
        while going:
            response, _ = await house.chat(stream=bool(worker % 2))
            statuses.append(response.status)

    workers = [asyncio.create_task(ask(number)) for number in range(8)]
    for _ in range(20):
        await house.apply(holding(house))
        await house.until(lambda: house.station.holds.tell()["at_servers"] == 0)
        seen = len(house.upstream.seen)
        await asyncio.sleep(0.03)
        assert len(house.upstream.seen) == seen, "a call reached a server that rests"
        await house.apply(house.routing())
        await asyncio.sleep(0.03)
    going = False
    await asyncio.gather(*workers)
    assert set(statuses) == {200}
    assert len(statuses) > 100


async def test_quiet_is_the_time_since_the_last_call_ended(house: House) -> None:
    """It grows while nobody calls and is nothing while a call is on its way."""
    await house.start()
    await house.apply(house.routing())
    await house.chat()
    await asyncio.sleep(0.2)
    assert 0.15 < (await calls(house))["quiet_seconds"] < 2
    house.upstream.chunk_seconds = 0.5
    asked = asyncio.create_task(house.chat())
    await house.until(lambda: house.station.holds.at_servers)
    assert (await calls(house))["quiet_seconds"] == 0
    await asked
    assert (await calls(house))["quiet_seconds"] < 0.1


async def test_a_routing_without_a_hold_says_nothing_of_holds() -> None:
    """What a gateway from before there were holds reads is what it always was."""
    routing = Routing(version=1, upstreams=("http://127.0.0.1:8000",), base_model=BASE)
    assert b"hold" not in routing.dump()
    held = routing.model_copy(
        update={"hold": Hold(run="run-1", fallback=Fallback(url="http://127.0.0.1:9", model="m"))}
    )
    assert Routing.parse(held.dump()) == held
