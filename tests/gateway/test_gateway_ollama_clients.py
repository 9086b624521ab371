"""Clients of the real `ollama` and `openai` packages, in front of the gateway: they notice nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import ollama
import openai
import pytest
import pytest_asyncio
from gateway_house import House

from flywheel.core.routing import Alias, Arm
from flywheel.sources.capture_bodies import asked_of, said_of

BASE, OLD = "tiny-base", "tool-calling@1"
ASK = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "look_up", "description": "Looks up.", "parameters": {
    "type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}}}  # fmt: skip
pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def served(house: House) -> House:
    """A house with the alias on its old release."""
    await house.start()
    await house.apply(house.routing())
    return house


@pytest_asyncio.fixture
async def client(served: House) -> AsyncIterator[ollama.AsyncClient]:
    """A client of Ollama's package."""
    async with ollama.AsyncClient(served.origin, headers={"x-session-id": "s1"}) as client:
        yield client


@pytest_asyncio.fixture
async def other(served: House) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client of OpenAI's package."""
    async with openai.AsyncOpenAI(base_url=f"{served.origin}/v1", api_key="none", max_retries=0) as client:
        yield client


async def row_of(house: House) -> dict[str, Any]:
    (row,) = await house.rows(1)
    return row


async def test_ollama_generates(served: House, client: ollama.AsyncClient) -> None:
    """A prompt with a system message is answered by the alias's arm, and the capture can be read."""
    answer = await client.generate("tool-calling", "hello", system="be brief", options={"num_predict": 9, "seed": 3})
    assert (answer.response, answer.done, answer.done_reason, answer.model) == (
        "word " * 4, True, "stop", "tool-calling",
    )  # fmt: skip
    assert (answer.prompt_eval_count, answer.eval_count) == (7, 4)
    assert answer.total_duration
    assert answer.total_duration >= answer.eval_duration > 0
    seen = served.upstream.seen[-1]
    assert (seen.path, seen.fields["model"], seen.fields["max_tokens"], seen.fields["seed"]) == (
        "/v1/chat/completions", OLD, 9, 3,
    )  # fmt: skip
    assert [message["role"] for message in seen.fields["messages"]] == ["system", "user"]
    row = await row_of(served)
    assert (row["alias"], row["model"], row["arm"], row["session"]) == ("tool-calling", OLD, "active", "s1")
    assert (row["status"], row["streamed"], row["complete"]) == (200, 0, 1)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (7, 4)
    asked, said = asked_of(row["request"]), said_of(row["response"])
    assert asked
    assert [message.content for message in asked.messages] == ["be brief", "hello"]
    assert said
    assert said.text == "word " * 4


async def test_ollama_generates_piece_by_piece(served: House, client: ollama.AsyncClient) -> None:
    """A stream comes as it is made and ends with its numbers; the row holds the lines that the client got."""
    served.upstream.chunk_seconds = 0.05
    loop = asyncio.get_running_loop()
    times, pieces = [], []
    async for piece in await client.generate("tool-calling", "hello", stream=True):
        times.append(loop.time())
        pieces.append(piece)
    assert "".join(piece.response or "" for piece in pieces) == "word0 word1 word2 word3 "
    assert [piece.done for piece in pieces] == [False] * 4 + [True]
    assert times[-1] - times[0] > 0.1
    assert (pieces[-1].eval_count, pieces[-1].done_reason) == (4, "stop")
    assert 0 < pieces[-1].prompt_eval_duration < pieces[-1].total_duration
    row = await row_of(served)
    assert (row["streamed"], row["complete"], row["completion_tokens"]) == (1, 1, 4)
    said = said_of(row["response"])
    assert said
    assert said.text == "word0 word1 word2 word3 "


@pytest.mark.parametrize("stream", [False, True])
async def test_ollama_calls_tools(served: House, client: ollama.AsyncClient, stream: bool) -> None:  # noqa: FBT001
    """A tool is offered, called with whole arguments, answered, and the model goes on."""
    given = await client.chat("tool-calling", ASK, tools=[TOOL], stream=stream)
    pieces = [piece async for piece in given] if stream else [given]
    (call,) = [call for piece in pieces for call in piece.message.tool_calls or ()]
    assert (call.function.name, call.function.arguments) == ("look_up", {"place": "word"})
    assert (pieces[-1].done, pieces[-1].done_reason) == (True, "stop")
    said = said_of((await row_of(served))["response"])
    assert said
    assert said.calls == 1
    assert '"place": "word"' in said.text
    turn = {"role": "assistant", "content": "", "tool_calls": [call.model_dump()]}
    result = {"role": "tool", "content": "sunny", "tool_name": "look_up"}
    answer = await client.chat("tool-calling", [*ASK, turn, result], tools=[TOOL])
    assert answer.message.content == "word " * 4
    _, made, told = served.upstream.seen[-1].fields["messages"]
    assert made["tool_calls"][0]["function"] == {"name": "look_up", "arguments": '{"place": "word"}'}
    assert told["tool_call_id"] == made["tool_calls"][0]["id"]


async def test_ollama_asks_for_json_and_probabilities(served: House, client: ollama.AsyncClient) -> None:
    """A schema and log-probabilities travel both ways."""
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    answer = await client.chat("tool-calling", ASK, format=schema, logprobs=True, top_logprobs=1)
    assert json.loads(answer.message.content or "") == {"answer": "word " * 4}
    told = served.upstream.seen[-1].fields["response_format"]
    assert (told["type"], told["json_schema"]["schema"]) == ("json_schema", schema)
    assert answer.logprobs
    assert answer.logprobs[0].top_logprobs
    assert (len(answer.logprobs), answer.logprobs[0].logprob, answer.logprobs[0].top_logprobs[0].token) == (
        4, -0.5, "word ",
    )  # fmt: skip
    plain = await client.generate("tool-calling", "x", raw=True, logprobs=True, top_logprobs=1)
    assert plain.logprobs
    assert plain.logprobs[3].top_logprobs[0].logprob == -0.5
    assert served.upstream.seen[-1].path == "/v1/completions"


async def test_ollama_looks_around(served: House, client: ollama.AsyncClient) -> None:
    """Models, aliases, what is loaded and what one is like are told in Ollama's words."""
    names = {model.model: model for model in (await client.list()).models}
    assert set(names) == {BASE, OLD, "tool-calling@2", "tool-calling"}
    loaded = {model.model: model for model in (await client.ps()).models}
    assert loaded["tool-calling"].context_length == 1024
    shown = await client.show("tool-calling:latest")
    assert shown.details
    assert shown.details.parent_model == BASE
    assert shown.modelinfo
    assert 1024 in shown.modelinfo.values()
    assert shown.capabilities == ["completion", "tools"]
    with pytest.raises(ollama.ResponseError, match="not found") as error:
        await client.show("nobody")
    assert error.value.status_code == 404
    before = names["tool-calling"].digest
    new = Alias(arms=(Arm(model="tool-calling@2", share=1.0, role="active"),))
    await served.apply(served.routing().model_copy(update={"aliases": {"tool-calling": new}}))
    assert {model.model: model.digest for model in (await client.list()).models}["tool-calling"] != before


async def test_ollama_loads_and_unloads(served: House, client: ollama.AsyncClient) -> None:
    """Asking for nothing but the model's presence is answered here; an unknown model is not there."""
    assert (await client.generate("tool-calling")).done_reason == "load"
    assert (await client.chat("tool-calling", [], keep_alive=0)).done_reason == "unload"
    with pytest.raises(ollama.ResponseError, match="not found"):
        await client.generate("nobody")
    assert not [seen for seen in served.upstream.seen if seen.method == "POST"]


async def test_ollama_embeds(served: House, client: ollama.AsyncClient) -> None:
    """Embeddings come through in both forms and are no lessons."""
    assert (await client.embed("tool-calling", ["a", "bb"])).embeddings == [[1.0, 0.5, -0.25], [2.0, 0.5, -0.25]]
    assert (await client.embeddings("tool-calling", "abc")).embedding == [3.0, 0.5, -0.25]
    assert served.upstream.seen[-1].fields["model"] == OLD
    await client.chat("tool-calling", ASK)
    assert len(await served.rows(1)) == 1


async def test_ollama_is_told_what_is_wrong(served: House, client: ollama.AsyncClient) -> None:
    """The upstream's errors keep status and sentence; what cannot be had is refused in one; both are captured."""
    with pytest.raises(ollama.ResponseError, match="The model `nobody` does not exist") as error:
        await client.chat("nobody", ASK)
    assert error.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="images are not taken here") as error:
        await client.generate("tool-calling", "what is this", images=["aGVsbG8="])
    assert error.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match="does not understand"):
        await client.generate("tool-calling", "x", template="{{ range .Messages }}{{ end }}{{ .Prompt }}")
    rows = await served.rows(3)
    assert [row["status"] for row in rows] == [404, 400, 400]


async def test_ollama_falls_back_and_holds(served: House, client: ollama.AsyncClient) -> None:
    """The base stands in for an adapter that is not there, as for any other call."""
    served.upstream.models = {BASE}
    assert (await client.generate("tool-calling", "x")).response == "word " * 4
    row = await row_of(served)
    assert (row["alias"], row["model"], row["fallback"]) == ("tool-calling", BASE, 1)


async def test_ollama_is_told_when_the_server_dies(served: House, client: ollama.AsyncClient) -> None:
    """A stream that breaks raises at the client after what there was, and the row says incomplete."""
    served.upstream.dies_after = 2
    served.upstream.chunk_seconds = 0.02
    pieces = []
    with pytest.raises(ollama.ResponseError, match="went away"):  # noqa: PT012 - the error comes while the loop reads
        async for piece in await client.generate("tool-calling", "hello", stream=True):
            pieces.append(piece.response)  # noqa: PERF401 - what came before the error is kept
    assert pieces == ["word0 ", "word1 "]
    assert (await row_of(served))["complete"] == 0


async def test_an_ollama_client_that_leaves_ends_its_generation(served: House, client: ollama.AsyncClient) -> None:
    """Leaving a stream closes the upstream's."""
    served.upstream.chunks, served.upstream.chunk_seconds = 1000, 0.01
    stream = await client.generate("tool-calling", "hello", stream=True)
    async for _ in stream:
        break
    await stream.aclose()
    await served.until(lambda: served.upstream.clients_gone == 1)
    assert served.station.in_flight.models() == {}
    assert (await row_of(served))["complete"] == 0


async def test_openai_chats(served: House, other: openai.AsyncOpenAI) -> None:
    """Whole and streamed, with tools and log-probabilities, through the alias."""
    answer = await other.chat.completions.create(model="tool-calling", messages=ASK, logprobs=True)
    assert (answer.choices[0].message.content, answer.model) == ("word " * 4, OLD)
    assert answer.choices[0].logprobs
    assert answer.choices[0].logprobs.content[0].logprob == -0.5
    called = await other.chat.completions.create(model="tool-calling", messages=ASK, tools=[TOOL])
    assert called.choices[0].message.tool_calls[0].function.arguments == '{"place": "word"}'
    stream = await other.chat.completions.create(model="tool-calling", messages=ASK, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    assert text == "word0 word1 word2 word3 "
    models = [model.id async for model in other.models.list()]
    assert "tool-calling" in models
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        await other.chat.completions.create(model="nobody", messages=ASK)


async def test_openai_completes_and_embeds(served: House, other: openai.AsyncOpenAI) -> None:
    """Text completions and embeddings go by alias, and embeddings are no lessons."""
    answer = await other.completions.create(model="tool-calling", prompt="hello")
    assert answer.choices[0].text == "word " * 4
    found = await other.embeddings.create(model="tool-calling", input=["a", "bb"], encoding_format="float")
    assert [one.embedding for one in found.data] == [[1.0, 0.5, -0.25], [2.0, 0.5, -0.25]]
    assert served.upstream.seen[-1].fields["model"] == OLD
    assert len(await served.rows(1)) == 1


async def test_openai_responses(served: House, other: openai.AsyncOpenAI) -> None:
    """The responses API goes by alias and is captured, with its tokens, whole and streamed."""
    answer = await other.responses.create(model="tool-calling", input="hello", instructions="be brief")
    assert answer.output_text == "word " * 4
    stream = await other.responses.create(model="tool-calling", input="hello", instructions="be brief", stream=True)
    deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
    assert deltas == ["word0 ", "word1 ", "word2 ", "word3 "]
    rows = await served.rows(2)
    for row in rows:
        assert (row["alias"], row["model"], row["prompt_tokens"], row["completion_tokens"]) == (
            "tool-calling", OLD, 7, 4,
        )  # fmt: skip
        asked, said = asked_of(row["request"]), said_of(row["response"])
        assert asked
        assert [message.content for message in asked.messages] == ["be brief", "hello"]
        assert said
        assert said.text.startswith("word")
    assert rows[0]["session"] == rows[1]["session"]
