"""The door's limits: what is too much is refused at once, in the agents' own words, and harms nobody else."""

import asyncio
import json
from datetime import UTC, datetime

import aiohttp
import pytest
from gateway_house import BASE, House

from flywheel.gateway.keys import KeyFile, gateway_key_file

pytestmark = pytest.mark.asyncio

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def test_one_too_many_is_asked_to_come_again(house: House) -> None:
    """Above the limit a request is a 503 with Retry-After that reaches no server; those inside are answered."""
    await house.start(requests_at_once=3)
    house.upstream.chunk_seconds = 0.5
    inside = [asyncio.create_task(house.chat(BASE)) for _ in range(3)]
    await house.until(lambda: len(house.upstream.seen) == 3)
    for path in ("/v1/chat/completions", "/v1/embeddings", "/api/chat"):
        async with house.client.post(path, data=b"x" * 100_000) as response:
            assert (response.status, response.headers["retry-after"]) == (503, "1")
            assert "error" in await response.json()
    async with house.client.get("/health") as response:
        assert response.status == 200
    assert [one[0].status for one in await asyncio.gather(*inside)] == [200, 200, 200]
    assert (await house.chat(BASE))[0].status == 200
    assert house.station.door.tell()["refused"] == {"503": 3}
    assert len(await house.rows(4)) == 4


async def test_the_daemon_is_told_however_much_there_is_to_do(house: House) -> None:
    """A full gateway still says what is on its way, or a rollback would wait for it."""
    await house.start(requests_at_once=1)
    house.upstream.chunk_seconds = 0.5
    inside = asyncio.create_task(house.chat(BASE))
    await house.until(lambda: house.upstream.seen)
    async with house.client.get("/flywheel/routing") as response:
        assert (await response.json())["in_flight"] == {BASE: 1}
    await inside


async def test_one_key_does_not_take_everybodys_place(house: House) -> None:
    """Above its own limit a key gets a 429 with Retry-After, while another is answered."""
    file = KeyFile(gateway_key_file(house.home))
    greedy, other = ({"authorization": f"Bearer {file.add(name, NOW)}"} for name in ("greedy", "other"))
    await house.start(requests_at_once_per_key=2)
    house.upstream.chunk_seconds = 0.5
    inside = [asyncio.create_task(house.chat(BASE, headers=greedy)) for _ in range(2)]
    await house.until(lambda: len(house.upstream.seen) == 2)
    response, body = await house.chat(BASE, headers=greedy)
    assert (response.status, response.headers["retry-after"]) == (429, "1")
    assert json.loads(body)["error"]["type"] == "rate_limit_error"
    assert (await house.chat(BASE, headers=other))[0].status == 200
    await asyncio.gather(*inside)
    assert (await house.chat(BASE, headers=greedy))[0].status == 200


async def test_a_client_that_leaves_makes_room(house: House) -> None:
    """A request that was given up counts no more."""
    await house.start(requests_at_once=1)
    house.upstream.chunk_seconds = 2
    leaving = asyncio.create_task(house.chat(BASE))
    await house.until(lambda: house.upstream.seen)
    leaving.cancel()
    await house.until(lambda: not house.station.in_flight.total)
    house.upstream.chunk_seconds = 0
    assert (await house.chat(BASE))[0].status == 200


@pytest.mark.parametrize("headers", [{"x-long": "a" * 70_000}, {f"x-{n}": "a" for n in range(300)}])
async def test_headers_are_bounded(house: House, headers: dict[str, str]) -> None:
    """A header that is too long, or too many of them, end the connection with a 400; the next one is served."""
    await house.start()
    async with aiohttp.ClientSession(house.origin) as client, client.get("/v1/models", headers=headers) as response:
        assert response.status == 400
    assert house.upstream.seen == []
    assert (await house.chat(BASE))[0].status == 200


async def test_a_flood_of_strangers_leaves_no_trace(house: House) -> None:
    """A hundred requests without a key at once: all refused, none counted as on its way, and the log says it once."""
    KeyFile(gateway_key_file(house.home)).add("laptop", NOW)
    await house.start()
    answers = await asyncio.gather(*[house.chat(BASE) for _ in range(100)])
    assert {response.status for response, _ in answers} == {401}
    assert house.station.in_flight.total == 0
    assert house.station.door.tell()["refused"] == {"401": 100}
