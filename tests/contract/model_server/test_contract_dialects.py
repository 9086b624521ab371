"""Agents that speak Ollama, through the gateway, at every model server: the answers are those of OpenAI's dialect."""

from collections.abc import AsyncIterator
from pathlib import Path

import ollama
import pytest
import pytest_asyncio
from aiohttp import web
from fixtures.model_servers import BASE, ModelServer

from flywheel.gateway.apps import build_app
from flywheel.gateway.settings import GatewaySettings

PROMPT = "Show src/cache.py"
GREEDY = {"temperature": 0, "num_predict": 64}
ASK = [{"role": "user", "content": PROMPT}]
pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def agent(server: ModelServer, tmp_path: Path) -> AsyncIterator[ollama.AsyncClient]:
    """A client of Ollama's package, at a gateway in front of the server."""
    settings = GatewaySettings(home=tmp_path, upstreams=(f"http://127.0.0.1:{server.port}",), base_model=BASE)
    runner = web.AppRunner(build_app(settings), access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with ollama.AsyncClient(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
            yield client
    finally:
        await runner.cleanup()


async def test_both_forms_say_what_chat_completions_say(server: ModelServer, agent: ollama.AsyncClient) -> None:
    """A prompt and a conversation, whole and streamed, give the greedy answer with its counts."""
    direct = server.chat(PROMPT)
    whole = await agent.chat(BASE, ASK, options=GREEDY)
    assert whole.message.content == direct.content
    usage = direct.json["usage"]
    assert (whole.prompt_eval_count, whole.eval_count) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert (await agent.generate(BASE, PROMPT, options=GREEDY)).response == direct.content
    pieces = [piece async for piece in await agent.generate(BASE, PROMPT, options=GREEDY, stream=True)]
    assert "".join(piece.response or "" for piece in pieces) == direct.content
    assert (pieces[-1].eval_count, pieces[-1].done_reason) == (usage["completion_tokens"], "stop")


async def test_options_reach_the_server(server: ModelServer, agent: ollama.AsyncClient) -> None:
    """The longest answer, stop strings, seeds and all the rest that is translated are taken."""
    short = await agent.generate(BASE, PROMPT, options={"temperature": 0, "num_predict": 3})
    assert (short.done_reason, short.eval_count) == ("length", 3)
    cut = await agent.generate(BASE, PROMPT, options=GREEDY | {"stop": ["cache"]})
    assert cut.response == server.chat(PROMPT).content.partition("cache")[0]
    drawn = {"temperature": 1.0, "seed": 5, "top_p": 0.9, "top_k": 20, "num_predict": 8, "presence_penalty": 0.1}
    first, second = [await agent.generate(BASE, "Delete", options=drawn) for _ in range(2)]
    assert first.response == second.response
    with pytest.raises(ollama.ResponseError, match="does not exist") as error:
        await agent.generate("nobody", PROMPT)
    assert error.value.status_code == 404


async def test_what_the_double_lacks_reaches_the_server(server: ModelServer, agent: ollama.AsyncClient) -> None:
    """A schema binds the answer, log-probabilities come back, raw prompts and thinking switches are taken."""
    if server.kind != "vllm":
        pytest.skip("the double draws freely")
    schema = {"type": "object", "properties": {"answer": {"enum": ["yes", "no"]}}, "required": ["answer"],
              "additionalProperties": False}  # fmt: skip
    bound = await agent.chat(BASE, ASK, format=schema, think=False, options=GREEDY)
    # The tiny model may spend its tokens on white space: what else it writes is the schema's beginning.
    assert '{"answer":"'.startswith("".join((bound.message.content or "").split())[:11])
    assert (bound.message.content or "").lstrip().startswith("{")
    told = await agent.chat(BASE, ASK, logprobs=True, top_logprobs=2, options={"temperature": 0, "num_predict": 3})
    assert told.logprobs
    assert [len(token.top_logprobs or ()) for token in told.logprobs] == [2, 2, 2]
    raw = await agent.generate(BASE, PROMPT, raw=True, logprobs=True, options={"temperature": 0, "num_predict": 2})
    assert raw.logprobs
    assert len(raw.logprobs) == 2
    drawn = {"min_p": 0.05, "repeat_penalty": 1.1, "frequency_penalty": 0.1, "num_predict": 2}
    assert (await agent.generate(BASE, PROMPT, think="low", options=drawn)).done
