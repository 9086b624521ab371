"""Several model servers: asked in a session's own order, the well ones first, and again only before the first byte."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import pytest
from gateway_house import BASE, NEW, OLD, House
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.clocks import ManualClock
from flywheel.gateway.doubles import UpstreamDouble
from flywheel.gateway.healths import Healths
from flywheel.gateway.upstreams import in_order

ORIGINS = [f"http://s{number}:1" for number in range(4)]
AWAY = "http://127.0.0.1:9"


async def home_of(house: House, session: str) -> UpstreamDouble:
    """Return the server that a session is at."""
    before = [len(upstream.seen) for upstream in house.upstreams]
    await house.chat(BASE, headers={"x-session-id": session})
    return next(one for one, count in zip(house.upstreams, before, strict=True) if len(one.seen) > count)


async def servers(house: House) -> list[dict[str, object]]:
    """What the gateway tells of its servers."""
    async with house.client.get("/flywheel/routing") as response:
        told: list[dict[str, object]] = (await response.json())["servers"]
        return told


@asynccontextmanager
async def torn(told: bytes) -> AsyncIterator[str]:
    """A server that begins an answer and dies."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(told)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


# ── the order ───────────────────────────────────────────────────────────────


@given(st.text(max_size=30), st.permutations(ORIGINS))
def test_a_session_has_one_order(session: str, origins: list[str]) -> None:
    """The same servers in any order give the same order, and one that leaves changes nothing for the others."""
    order = list(in_order(origins, session))
    assert order == list(in_order(ORIGINS, session))
    assert list(in_order(origins[1:], session)) == [one for one in order if one != origins[0]]


def test_the_sessions_of_a_lost_server_are_spread() -> None:
    """Every server is first for about as many sessions, and second for about as many of each other's."""
    orders = [in_order(ORIGINS, f"s{number}") for number in range(4000)]
    pairs = Counter((order[0], order[1]) for order in orders)
    assert len(pairs) == 12
    assert min(pairs.values()) > 4000 / 12 * 0.7


def test_whoever_is_down_is_asked_last() -> None:
    """Down servers keep their places among themselves, nobody is left out, and an answer brings one back."""
    healths = Healths(ManualClock(datetime(2026, 1, 1, tzinfo=UTC)))
    assert healths.best_first(ORIGINS) is ORIGINS
    for origin in (ORIGINS[0], ORIGINS[2]):
        healths.failed(origin, "gone")
    assert healths.best_first(ORIGINS) == [ORIGINS[1], ORIGINS[3], ORIGINS[0], ORIGINS[2]]
    healths.worked(ORIGINS[0])
    assert healths.best_first(ORIGINS) == [ORIGINS[0], ORIGINS[1], ORIGINS[3], ORIGINS[2]]
    assert [told["answers"] for told in healths.tell(ORIGINS)] == [True, True, False, True]


# ── asked again, and not asked again ────────────────────────────────────────


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_server_that_is_not_ready_is_passed_over(house: House, status: int, *, stream: bool) -> None:
    """The other answers; the first is asked last from then on."""
    await house.start(upstreams=2)
    home = await home_of(house, "s")
    home.refuses_with = status
    response, body = await house.chat(BASE, headers={"x-session-id": "s"}, stream=stream)
    assert response.status == 200
    assert body.endswith(b"[DONE]\n\n") if stream else json.loads(body)["model"] == BASE
    seen = len(home.seen)
    await house.chat(BASE, headers={"x-session-id": "s"})
    assert len(home.seen) == seen
    told = {server["url"]: server["answers"] for server in await servers(house)}
    assert told == {one.origin: one is not home for one in house.upstreams}
    assert len(await house.rows(3)) == 3, "one call is one row"


@pytest.mark.asyncio
async def test_when_nobody_is_ready_the_answer_is_a_servers_own(house: House) -> None:
    """Of several refusals the first is passed on unchanged; so is a single server's."""
    await house.start(upstreams=2)
    for upstream in house.upstreams:
        upstream.refuses_with = 503
    response, body = await house.chat(BASE)
    assert (response.status, json.loads(body)["error"]["message"]) == (503, "not now")
    assert sum(len(upstream.seen) for upstream in house.upstreams) == 2
    await house.apply(house.routing(origins=(AWAY, house.upstream.origin)))
    assert (await house.chat(BASE))[0].status == 503
    await house.apply(house.routing(origins=(house.upstream.origin,)))
    assert (await house.chat(BASE))[0].status == 503


@pytest.mark.asyncio
async def test_an_error_of_the_request_is_not_tried_elsewhere(house: House) -> None:
    """What is wrong with a call is wrong everywhere, and a call that harms a server must not harm the next."""
    await house.start(upstreams=2)
    for status in (400, 401, 404, 422, 429, 500):
        for upstream in house.upstreams:
            upstream.refuses_with, before = status, len(house.upstreams[0].seen) + len(house.upstreams[1].seen)
        response, _ = await house.chat(BASE)
        assert response.status == status
        assert len(house.upstreams[0].seen) + len(house.upstreams[1].seen) == before + 1


@pytest.mark.asyncio
async def test_a_stream_that_dies_before_its_first_byte_is_begun_elsewhere(house: House) -> None:
    """Headers alone are no answer yet: a server that dies reading the prompt costs time and no call."""
    await house.start()
    headers = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    async with torn(headers) as origin:
        await house.apply(house.routing(origins=(origin, house.upstream.origin)))
        for number in range(6):
            response, body = await house.chat(BASE, headers={"x-session-id": str(number)}, stream=True)
            assert (response.status, body[-14:]) == (200, b"data: [DONE]\n\n")
            assert body.count(b"word0 ") == 1
            house.station.upstreams.healths.worked(origin)
        assert {row["complete"] for row in await house.rows(6)} == {1}


@pytest.mark.asyncio
async def test_a_stream_that_has_begun_is_never_repeated(house: House) -> None:
    """After the first byte the client gets a broken end, and no other server is asked."""
    await house.start(upstreams=2)
    home = await home_of(house, "s")
    other = next(one for one in house.upstreams if one is not home)
    home.dies_after, home.chunk_seconds = 2, 0.02
    with pytest.raises(aiohttp.ClientError):
        await house.chat(BASE, headers={"x-session-id": "s"}, stream=True)
    assert other.seen == []
    rows = await house.rows(2)
    assert (rows[1]["status"], rows[1]["complete"]) == (200, 0)


@pytest.mark.asyncio
async def test_half_an_answer_is_none(house: House) -> None:
    """A short answer that breaks off before its end is asked for at the next server; alone it is a 502."""
    await house.start()
    async with torn(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"id"') as origin:
        await house.apply(house.routing(origins=(origin, house.upstream.origin)))
        for number in range(6):
            response, body = await house.chat(BASE, headers={"x-session-id": str(number)})
            assert (response.status, json.loads(body)["model"]) == (200, BASE)
            house.station.upstreams.healths.worked(origin)
        async with house.client.get("/v1/models") as models:
            assert models.status == 200
        await house.apply(house.routing(origins=(origin,)))
        assert (await house.chat(BASE))[0].status == 502


@pytest.mark.asyncio
async def test_what_ends_servers_does_not_go_round_them_all(house: House) -> None:
    """A request that two servers lost is a 502, and the third has not seen it. Servers that are away do not count."""
    await house.start()
    begun = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"
    async with torn(begun) as first, torn(begun) as second:
        sessions = [f"s{number}" for number in range(40)]
        origins = (first, second, house.upstream.origin)
        last = next(one for one in sessions if in_order(origins, one)[2] == house.upstream.origin)
        await house.apply(house.routing(origins=origins))
        assert (await house.chat(BASE, headers={"x-session-id": last}))[0].status == 502
        assert house.upstream.seen == []
        assert (await house.chat(BASE, headers={"x-session-id": last}))[0].status == 200, "the two are asked last now"
    await house.apply(house.routing(origins=(AWAY, "http://127.0.0.1:10", house.upstream.origin)))
    assert (await house.chat(BASE, headers={"x-session-id": last}))[0].status == 200


@pytest.mark.asyncio
async def test_an_adapter_that_one_server_lost_is_asked_for_at_the_other(house: House) -> None:
    """Only when no server knows it does the base stand in; a name that is no alias is refused by the first."""
    await house.start(upstreams=2)
    await house.apply(house.routing())
    house.upstreams[0].models = {BASE}
    for number in range(8):
        response, _ = await house.chat(headers={"x-session-id": str(number)})
        assert response.headers["x-flywheel-model"] == OLD
    assert all(server["answers"] for server in await servers(house)), "a server that lacks an adapter is well"
    house.upstreams[1].models = {BASE, NEW}
    response, _ = await house.chat()
    assert response.headers["x-flywheel-model"] == BASE
    seen = sum(len(upstream.seen) for upstream in house.upstreams)
    assert (await house.chat("nobody"))[0].status == 404
    assert sum(len(upstream.seen) for upstream in house.upstreams) == seen + 1


@pytest.mark.asyncio
async def test_what_may_not_be_repeated_is_not(house: House) -> None:
    """A POST that is not known to be harmless goes to one server, whatever that answers."""
    await house.start(upstreams=2)
    for upstream in house.upstreams:
        upstream.refuses_with = 503
    async with house.client.post("/v1/files", data=b"x") as response:
        assert response.headers["x-upstream-said"] == "echo"
    assert sum(len(upstream.seen) for upstream in house.upstreams) == 1


# ── looking ─────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_a_sick_server_is_found_and_found_well_again(house: House) -> None:
    """Without any request the gateway notices that a server says it is sick, is gone, and is back."""
    await house.start(upstreams=2, check_seconds=0.05)
    sick = house.upstreams[1]
    sick.health = 503
    await house.until(lambda: house.station.upstreams.healths.best_first([sick.origin, "x"])[0] == "x")
    for number in range(8):
        await house.chat(BASE, headers={"x-session-id": str(number)})
    assert sick.seen == []
    sick.health = 200
    await house.until(lambda: house.station.upstreams.healths.best_first([sick.origin, "x"])[0] == sick.origin)
    assert await home_of(house, "s") in house.upstreams


@pytest.mark.asyncio
async def test_a_server_without_such_a_page_is_well(house: House) -> None:
    """An answer is an answer: 404 at /health is no sickness."""
    await house.start(upstreams=2, check_seconds=0.05)
    for upstream in house.upstreams:
        upstream.health = 404
    await asyncio.sleep(0.3)
    assert [server["answers"] for server in await servers(house)] == [True, True]


@pytest.mark.asyncio
async def test_silence_counts_at_the_second_time() -> None:
    """A busy server may miss one look; two in a row are too many, and any answer counts anew."""
    healths = Healths(ManualClock(datetime(2026, 1, 1, tzinfo=UTC)))
    for told in (False, True):
        healths._miss("http://s:1", "silent")
        assert bool(healths.tell(["http://s:1"])[0]["answers"]) is not told
    healths._heard("http://s:1", 200)
    healths._miss("http://s:1", "silent")
    assert healths.tell(["http://s:1"]) == [{"url": "http://s:1", "answers": True}]


@pytest.mark.asyncio
async def test_killing_and_starting_servers_under_load_loses_no_call(house: House) -> None:
    """Two servers die and come back in turns: every call that began no stream yet is answered."""
    await house.start(upstreams=1, check_seconds=0.05)
    await house.apply(house.routing())
    steady, statuses, going = house.upstream, Counter[int](), True

    async def ask(worker: int) -> None:
        turn = 0
        while going:
            turn += 1
            response, _ = await house.chat(headers={"x-session-id": f"{worker}-{turn}"})
            statuses[response.status] += 1

    workers = [asyncio.create_task(ask(number)) for number in range(8)]
    port = 0
    for _ in range(8):
        shaky = UpstreamDouble({BASE, OLD, NEW})
        async with shaky.running(port):
            port = int(shaky.origin.rpartition(":")[2])
            await house.apply(house.routing(origins=(steady.origin, shaky.origin)))
            await house.until(lambda shaky=shaky: len(shaky.seen) > 5)
        await asyncio.sleep(0.05)
    going = False
    await asyncio.gather(*workers)
    assert set(statuses) == {200}
    assert statuses.total() > 100
