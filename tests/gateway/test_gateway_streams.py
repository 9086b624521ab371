"""Streams: bytes as they come, ends that cannot be mistaken, generations that end with their client."""

import asyncio
import json

import aiohttp
import pytest
from gateway_house import House

BASE, OLD = "tiny-base", "tool-calling@1"
pytestmark = pytest.mark.asyncio
STREAM = json.dumps({"messages": [{"role": "user", "content": "x"}], "model": BASE, "stream": True}).encode()


async def test_chunks_come_as_they_are_made(house: House) -> None:
    """The first chunk is there long before the last, and the bytes are the upstream's own."""
    await house.start()
    house.upstream.chunk_seconds = 0.1
    loop = asyncio.get_running_loop()
    times, data = [], b""
    async with house.client.post("/v1/chat/completions", data=STREAM) as response:
        assert response.content_type == "text/event-stream"
        async for chunk in response.content.iter_any():
            times.append(loop.time())
            data += chunk
    assert len(times) >= 4
    assert times[-1] - times[0] > 0.25
    async with aiohttp.ClientSession(house.upstream.origin) as direct:
        house.upstream.chunk_seconds = 0
        async with direct.post("/v1/chat/completions", data=STREAM) as response:
            assert await response.read() == data


async def test_a_stream_is_captured_whole(house: House) -> None:
    """The row holds every byte of the stream, its usage and both times."""
    await house.start()
    house.upstream.chunk_seconds = 0.02
    async with house.client.post("/v1/chat/completions", data=STREAM) as response:
        data = await response.read()
    (row,) = await house.rows(1)
    assert (row["streamed"], row["complete"], row["status"]) == (1, 1, 200)
    assert (row["request"], row["response"]) == (STREAM, data)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (7, 4)
    assert 0 < row["first_token_ms"] < row["latency_ms"]


async def test_an_upstream_that_dies_is_noticed_by_the_client(house: House) -> None:
    """The client gets what there was and then an error, never a clean end; the row says incomplete."""
    await house.start()
    house.upstream.dies_after = 2
    house.upstream.chunk_seconds = 0.02
    data = b""
    with pytest.raises(aiohttp.ClientPayloadError):  # noqa: PT012 - the error comes while the loop reads
        async with house.client.post("/v1/chat/completions", data=STREAM) as response:
            async for chunk in response.content.iter_any():
                data += chunk
    assert data.count(b"word") == 2
    (row,) = await house.rows(1)
    assert (row["complete"], row["status"], row["response"]) == (0, 200, data)


async def test_a_client_of_the_old_protocol_notices_too(house: House) -> None:
    """Under HTTP/1.0 the end of the connection is the end of the response: there it is a reset."""
    await house.start()
    house.upstream.dies_after = 2
    house.upstream.chunk_seconds = 0.02
    host, port = house.origin.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/chat/completions HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(STREAM) + STREAM)
    with pytest.raises(ConnectionResetError):
        await reader.read(-1)
    writer.close()


async def test_a_client_that_leaves_ends_its_generation(house: House) -> None:
    """The upstream's connection closes at once, nothing stays in flight, and the row says incomplete."""
    await house.start()
    await house.apply(house.routing())
    house.upstream.chunks = 1000
    house.upstream.chunk_seconds = 0.01
    response = await house.client.post("/v1/chat/completions", data=STREAM.replace(BASE.encode(), b"tool-calling"))
    await response.content.readany()
    loop = asyncio.get_running_loop()
    left = loop.time()
    response.close()
    await house.until(lambda: house.upstream.clients_gone == 1)
    assert loop.time() - left < 1.0  # the generation would go on for ten
    assert house.station.in_flight.models() == {}
    (row,) = await house.rows(1)
    assert (row["complete"], row["model"]) == (0, OLD)
    assert b"word0" in row["response"]


async def test_a_client_that_leaves_before_the_answer_ends_it_too(house: House) -> None:
    """Leaving while the upstream is still thinking closes the request there."""
    await house.start()
    house.upstream.chunk_seconds = 30
    asking = asyncio.create_task(house.chat(BASE))
    await house.until(lambda: house.upstream.seen)
    asking.cancel()
    await house.until(lambda: house.station.in_flight.total == 0, seconds=1)
    (row,) = await house.rows(1)
    assert (row["status"], row["complete"]) == (None, 0)


async def test_a_slow_reader_does_not_fill_the_gateway(house: House) -> None:
    """The upstream is read no faster than the client reads: what piles up stays small."""
    await house.start(capture=False)
    house.upstream.chunks = 400_000
    async with house.client.post("/v1/chat/completions", data=STREAM) as response:
        await response.content.readany()
        await asyncio.sleep(0.3)
        assert house.upstream.streams_open == 1


async def test_requests_in_flight_keep_their_arm_through_a_flip(house: House) -> None:
    """A stream that began on a release ends there, while the next request goes to the new one."""
    await house.start()
    await house.apply(house.routing())
    house.upstream.chunk_seconds = 0.05
    streaming = asyncio.create_task(house.chat(stream=True))
    await house.until(lambda: house.upstream.streams_open)
    await house.apply(house.routing(1.0))
    assert house.station.in_flight.models() == {OLD: 1}
    response, _ = await house.chat()
    assert response.headers["x-flywheel-arm"] == "canary"
    _, data = await streaming
    assert b"[DONE]" in data
    assert b"@2" not in data
