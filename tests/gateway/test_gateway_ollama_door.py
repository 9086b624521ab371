"""Ollama's paths without any client's kindness: shapes of refusals, odd upstreams, holds, arms."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from gateway_house import House

from flywheel.core.routing import Hold
from flywheel.gateway.keys import KeyFile, gateway_key_file

BASE, OLD, NEW = "tiny-base", "tool-calling@1", "tool-calling@2"
pytestmark = pytest.mark.asyncio


async def ask(house: House, path: str, headers: dict[str, str] | None = None, **fields: Any) -> tuple[int, Any]:
    """Ask as curl does, which calls its body a form."""
    form = {"content-type": "application/x-www-form-urlencoded", **(headers or {})}
    async with house.client.post(path, data=json.dumps(fields).encode(), headers=form) as response:
        lines = (await response.read()).splitlines()
        return response.status, json.loads(lines[-1])


async def upstream_that_says(house: House, response: web.Response) -> None:
    """Put a server behind the gateway that answers everything so."""

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=response.status, body=response.body, headers=dict(response.headers))

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    house.stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await house.start(upstreams_at=(f"http://127.0.0.1:{runner.addresses[0][1]}",))


async def test_curl_is_understood(house: House) -> None:
    """The upstream is sent JSON, whatever the client calls its body; a stream is the default."""
    await house.start()
    status, last = await ask(house, "/api/generate", model=BASE, prompt="x")
    assert (status, last["done"], last["response"], last["done_reason"]) == (200, True, "", "stop")
    assert house.upstream.seen[-1].headers["Content-Type"] == "application/json"
    assert house.upstream.seen[-1].fields["stream"] is True


async def test_the_headers_say_who_answered(house: House) -> None:
    """Both forms carry the call's id, the model and the arm, and their own types."""
    await house.start()
    await house.apply(house.routing())
    for stream, kind in ((True, "application/x-ndjson"), (False, "application/json")):
        body = {"model": "tool-calling:latest", "messages": [{"role": "user", "content": "x"}], "stream": stream}
        async with house.client.post("/api/chat", json=body) as response:
            assert response.content_type == kind
            assert response.headers["x-flywheel-model"] == OLD
            assert response.headers["x-flywheel-arm"] == "active"
            assert (await response.read()).count(b'"tool-calling:latest"') == (5 if stream else 1)
    rows = await house.rows(2)
    assert {row["alias"] for row in rows} == {"tool-calling"}


async def test_refusals_have_ollamas_shape(house: House) -> None:
    """What is wrong is one sentence under `error`, whichever part of the gateway refuses it."""
    await house.start(body_limit=2000)
    for path, fields, status, words in (
        ("/api/chat", {"messages": [{"role": "user", "content": "x"}]}, 400, "model is required"),
        ("/api/generate", {"model": BASE, "prompt": "x" * 3000}, 413, "2000"),
        ("/api/pull", {"model": BASE}, 404, "managed by flywheel"),
        ("/api/show", {}, 400, "model is required"),
    ):
        got, answer = await ask(house, path, **fields)
        assert (got, words in answer["error"]) == (status, True), answer
    async with house.client.post("/api/chat", data=b"{") as response:
        assert (response.status, (await response.json())["error"]) == (400, "the body is not a JSON object")
    async with house.client.get("/api/chat") as response:
        assert response.status == 404


async def test_a_surprise_has_ollamas_shape(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the gateway's own is told the same way."""
    await house.start()
    with monkeypatch.context() as patch:
        patch.setattr(house.station.upstreams, "open", None)
        status, answer = await ask(house, "/api/generate", model=BASE, prompt="x")
    assert (status, answer) == (500, {"error": "the gateway failed; its log says why"})


async def test_the_small_pages_answer(house: House) -> None:
    """Whether anybody is there, and which release's API this is."""
    await house.start()
    async with house.client.get("/") as response:
        assert response.status == 200
    async with house.client.head("/") as response:
        assert response.status == 200
    async with house.client.get("/api/version") as response:
        assert tuple(map(int, (await response.json())["version"].split("."))) >= (0, 12)


async def test_lists_survive_the_upstream(house: House) -> None:
    """With the upstream down the aliases are still there."""
    await house.start()
    await house.apply(house.routing(origins=("http://127.0.0.1:9",)))
    async with house.client.get("/api/tags") as response:
        assert [model["name"] for model in (await response.json())["models"]] == ["tool-calling"]
    status, answer = await ask(house, "/api/generate", model="tool-calling", prompt="x")
    assert status == 502
    assert "no model server answered" in answer["error"]


async def test_sessions_keep_their_arm(house: House) -> None:
    """The conversation's beginning names the session here, too."""
    await house.start()
    await house.apply(house.routing(0.5))
    for _ in range(2):
        for number in range(12):
            messages = [{"role": "user", "content": f"task {number}"}]
            await ask(house, "/api/chat", model="tool-calling", messages=messages)
    arms: dict[str, set[str]] = {}
    for row in await house.rows(24):
        arms.setdefault(row["session"], set()).add(row["arm"])
    assert len(arms) == 12
    assert all(len(seen) == 1 for seen in arms.values())
    assert {arm for seen in arms.values() for arm in seen} == {"active", "canary"}


async def test_calls_wait_while_the_servers_rest(house: House) -> None:
    """A held call is answered when the hold ends, and says how long it waited."""
    await house.start()
    await house.apply(house.routing().model_copy(update={"hold": Hold(run="r1")}))
    asking = asyncio.create_task(ask(house, "/api/generate", model="tool-calling", prompt="x", stream=False))
    await house.until(lambda: house.station.holds.tell()["held"] == 1)
    await asyncio.sleep(0.05)
    await house.apply(house.routing())
    status, answer = await asking
    assert (status, answer["response"]) == (200, "word " * 4)
    assert answer["load_duration"] >= 50_000_000
    assert answer["total_duration"] > answer["load_duration"]


async def test_an_answer_in_one_piece_is_a_stream_of_one_line(house: House) -> None:
    """A server that does not stream is passed on all the same."""
    said = {"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}
    await upstream_that_says(house, web.json_response(said))
    status, answer = await ask(house, "/api/generate", model=BASE, prompt="x")
    assert (status, answer["response"], answer["done"]) == (200, "yes", True)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("response", "status", "words"),
    [
        (web.Response(status=500, text="out of memory"), 500, "out of memory"),
        (web.json_response({"error": {"message": "no tools here"}}, status=400), 400, "no tools here"),
        (web.Response(text="<html>"), 502, "cannot be read"),
        (web.json_response({"choices": []}), 502, "no choice"),
    ],
)
async def test_errors_keep_status_and_sentence(
    house: House, response: web.Response, status: int, words: str, *, stream: bool
) -> None:
    """The upstream's refusals are the client's; what is no answer is not passed off as one."""
    await upstream_that_says(house, response)
    got, answer = await ask(house, "/api/generate", model=BASE, prompt="x", stream=stream)
    assert (got, words in answer["error"]) == (status, True)
    (row,) = await house.rows(1)
    assert row["status"] == status


async def test_an_error_in_the_middle_of_a_stream_is_the_last_line(house: House) -> None:
    """What came before it is there; the connection ends without an end, and the row is incomplete."""
    data = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: {"error": {"message": "no memory"}}\n\n'
    await upstream_that_says(house, web.Response(body=data, headers={"content-type": "text/event-stream"}))
    lines = b""
    with pytest.raises(aiohttp.ClientPayloadError):  # noqa: PT012 - the error comes while the loop reads
        async with house.client.post("/api/generate", json={"model": BASE, "prompt": "x"}) as response:
            async for chunk in response.content.iter_any():
                lines += chunk
    first, last = map(json.loads, lines.splitlines())
    assert (first["response"], last) == ("a", {"error": "no memory"})
    (row,) = await house.rows(1)
    assert (row["complete"], row["response"]) == (0, lines)


async def test_openai_paths_that_are_aliased_fall_back(house: House) -> None:
    """Responses and embeddings have arms, the base behind them, and are counted while they are on their way."""
    await house.start(models=(BASE,))
    await house.apply(house.routing())
    for path in ("/v1/responses", "/v1/embeddings"):
        async with house.client.post(path, json={"model": "tool-calling", "input": "x"}) as response:
            assert (response.status, response.headers["x-flywheel-model"]) == (200, BASE)
    (row,) = await house.rows(1)
    assert (row["fallback"], row["arm"], row["session_source"]) == (1, "active", "conversation")


async def test_a_key_is_asked_for_here_too(house: House) -> None:
    """With a key in force Ollama's paths are behind it, refused in their own shape; the page for lookers-in is, too."""
    key = KeyFile(gateway_key_file(house.home)).add("laptop", datetime.now(UTC))
    await house.start()
    status, answer = await ask(house, "/api/generate", model=BASE, prompt="x")
    assert (status, "asks for a key" in answer["error"]) == (401, True)
    async with house.client.get("/api/tags") as response:
        assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")
    status, answer = await ask(house, "/api/generate", {"authorization": f"Bearer {key}"}, model=BASE, prompt="x")
    assert (status, answer["done"]) == (200, True)
    assert "Authorization" not in house.upstream.seen[-1].headers
