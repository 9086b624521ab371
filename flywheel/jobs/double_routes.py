"""The doors of the double: vLLM's endpoints over aiohttp."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import double_requests as requests
from aiohttp import web
from double_adapters import Adapter, check
from double_answers import Chat, Legacy, Piece, Usage, models, sse
from double_engine import Engine
from double_errors import RefusalError, unknown_model, worker_failed
from double_middleware import asgi_middleware
from double_sampling import Row, Sink
from double_tokens import tokenized

VERSION = "0.32.0"
SSE_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}

Format = Chat | Legacy


@dataclass
class Server:
    """What is served, and what was counted while serving."""

    engine: Engine
    base: str
    root: str
    limit: int
    max_rank: int
    max_loras: int
    chance: random.Random  # for answers without a seed
    adapters: dict[str, Adapter] = field(default_factory=dict)
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)
    finished: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    answering: int = 0
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Begin awake, with nothing to answer."""
        self.awake.set()
        self.idle.set()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Count an answer until the block ends."""
        self.answering += 1
        self.idle.clear()
        try:
            yield
        finally:
            self.answering -= 1
            if not self.answering:
                self.idle.set()

    def adapter(self, name: Any) -> Adapter | None:
        """Return the adapter that a request names; the base is None."""
        if name is not None and not isinstance(name, str):
            raise requests.wrong_shape("string_type", "body.model", "Input should be a valid string", name)
        if not name or name == self.base:
            return None
        if name not in self.adapters:
            raise unknown_model(name, self.base)
        return self.adapters[name]


SERVER: web.AppKey[Server] = web.AppKey("server", Server)


async def _body(request: web.Request) -> requests.Body:
    return requests.parse_body(await request.read(), request.content_type)


def _json(body: Any, status: int = 200) -> web.Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return web.Response(body=text.encode(), status=status, content_type="application/json")


@web.middleware
async def refusals(request: web.Request, handler: Any) -> web.StreamResponse:
    """Every refusal leaves as vLLM's error body; unknown doors as its framework's."""
    try:
        response: web.StreamResponse = await handler(request)
    except RefusalError as error:
        return _json(error.body, error.code)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
        return _json({"detail": error.reason}, error.status)
    return response


async def health(request: web.Request) -> web.Response:
    """Answer with an empty 200, or 503 once the engine has died."""
    return web.Response(status=200 if request.app[SERVER].engine.alive() else 503)


async def version(_request: web.Request) -> web.Response:
    """Tell the version of vLLM whose contract this is."""
    return _json({"version": VERSION})


async def list_models(request: web.Request) -> web.Response:
    """List the base and the adapters."""
    server = request.app[SERVER]
    paths = {name: adapter.path for name, adapter in server.adapters.items()}
    return _json(models(server.base, server.root, server.limit, paths))


async def metrics(request: web.Request) -> web.Response:
    """Tell the few counters that a monitor of vLLM reads."""
    server = request.app[SERVER]
    label = f'engine="0",model_name="{server.base}"'
    running, waiting = server.engine.counts()
    names = ",".join(server.adapters)
    lines = [
        "# TYPE vllm:num_requests_running gauge",
        f"vllm:num_requests_running{{{label}}} {running}.0",
        "# TYPE vllm:num_requests_waiting gauge",
        f"vllm:num_requests_waiting{{{label}}} {waiting}.0",
        "# TYPE vllm:prompt_tokens_total counter",
        f"vllm:prompt_tokens_total{{{label}}} {server.tokens['prompt']}.0",
        "# TYPE vllm:generation_tokens_total counter",
        f"vllm:generation_tokens_total{{{label}}} {server.tokens['drawn']}.0",
        "# TYPE vllm:request_success_total counter",
    ]
    lines += [
        f'vllm:request_success_total{{{label},finished_reason="{reason}"}} {server.finished[reason]}.0'
        for reason in ("stop", "length", "abort")
    ]
    lines += [
        "# TYPE vllm:lora_requests_info gauge",
        f'vllm:lora_requests_info{{max_lora="{server.max_loras}",running_lora_adapters="{names}"}} 1.0',
    ]
    return web.Response(text="\n".join(lines) + "\n", content_type="text/plain")


async def load_adapter(request: web.Request) -> web.Response:
    """Load an adapter under a new name, or say why not."""
    server, body = request.app[SERVER], await _body(request)
    name, path = requests.text_field(body, "lora_name"), requests.text_field(body, "lora_path")
    again = requests.flag_field(body, "load_inplace")
    async with server.loading:
        _check_name(server, name, path, again=again)
        check(name, path, server.max_rank)
        try:
            model = await asyncio.to_thread(server.engine.adapted, path)
        except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
            raise worker_failed(str(error)) from error
        server.adapters[name] = Adapter(name, path, model)
    return web.Response(text=f"Success: LoRA adapter '{name}' added successfully.")


def _check_name(server: Server, name: str, path: str, *, again: bool) -> None:
    if not name or not path:
        raise RefusalError("Both 'lora_name' and 'lora_path' must be provided.", "InvalidUserInput")
    if name == server.base:
        raise RefusalError(f"The lora adapter '{name}' conflicts with a served base model.", "InvalidUserInput")
    if name in server.adapters and not again:
        raise RefusalError(
            f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, "
            "set 'load_inplace' to True.",
            "InvalidUserInput",
        )


async def unload_adapter(request: web.Request) -> web.Response:
    """Take an adapter's name away; answers that are running with it finish unchanged."""
    server = request.app[SERVER]
    name = requests.text_field(await _body(request), "lora_name")
    if not name:
        raise RefusalError("'lora_name' needs to be provided to unload a LoRA adapter.", "InvalidUserInput")
    if name not in server.adapters:
        raise RefusalError(f"The lora adapter '{name}' cannot be found.", "NotFoundError", code=404)
    del server.adapters[name]
    return web.Response(text=f"Success: LoRA adapter '{name}' removed successfully.")


async def sleep(request: web.Request) -> web.Response:
    """Fall asleep once what is under way was answered; what comes then waits, as behind vLLM's paused scheduler."""
    server, level = request.app[SERVER], int(request.query.get("level", "1"))
    server.awake.clear()
    await server.idle.wait()
    return _json({"status": "sleeping", "level": level})


async def wake_up(request: web.Request) -> web.Response:
    """Wake up."""
    request.app[SERVER].awake.set()
    return _json({"status": "awake", "tags": None})


async def is_sleeping(request: web.Request) -> web.Response:
    """Tell whether it sleeps."""
    return _json({"is_sleeping": not request.app[SERVER].awake.is_set()})


async def chat(request: web.Request) -> web.StreamResponse:
    """Answer a conversation."""
    server, body = request.app[SERVER], await _body(request)
    messages = requests.chat_messages(body)
    adapter = server.adapter(body.get("model"))
    options = body.get("chat_template_kwargs") or {}
    tokenizer = server.engine.tokenizer
    prompt = tokenizer.apply_chat_template(
        messages, tools=body.get("tools"), tokenize=False, add_generation_prompt=True, **options
    )
    tokens = tokenizer.encode(prompt, add_special_tokens=False)
    wish = requests.wish(body, [tokens], server.limit, requests.chat_length(body))
    return await _answer(request, wish, adapter, Chat(adapter.name if adapter else server.base))


async def complete(request: web.Request) -> web.StreamResponse:
    """Continue raw prompts."""
    server, body = request.app[SERVER], await _body(request)
    prompts = requests.legacy_prompts(body)
    adapter = server.adapter(body.get("model"))
    encode = server.engine.tokenizer.encode
    tokens = [encode(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
    if any(not 0 <= token < server.engine.vocabulary for prompt in tokens for token in prompt):
        raise RefusalError("Token id is out of vocabulary")
    wish = requests.wish(body, tokens, server.limit, requests.legacy_length(body))
    return await _answer(request, wish, adapter, Legacy(adapter.name if adapter else server.base))


async def tokenize(request: web.Request) -> web.Response:
    """Tell the tokens that a conversation or a text becomes."""
    server, body = request.app[SERVER], await _body(request)
    server.adapter(body.get("model"))
    return _json(tokenized(server.engine.tokenizer, body, server.limit))


def _rows(wish: requests.Wish, adapter: Adapter | None, sink: Sink, chance: random.Random) -> list[Row]:
    rows = []
    for number, prompt in enumerate(prompt for prompt in wish.prompts for _ in range(wish.n)):
        seed = wish.sampling.seed
        own = chance if seed is None else random.Random(seed + number)
        rows.append(Row(prompt, wish.sampling, number, adapter, sink, own, piecemeal=wish.stream))
    return rows


async def _answer(
    request: web.Request, wish: requests.Wish, adapter: Adapter | None, form: Format
) -> web.StreamResponse:
    await request.app[SERVER].awake.wait()
    with request.app[SERVER].at_work():
        return await _generate(request, wish, adapter, form)


async def _generate(
    request: web.Request, wish: requests.Wish, adapter: Adapter | None, form: Format
) -> web.StreamResponse:
    server = request.app[SERVER]
    pieces: asyncio.Queue[Piece] = asyncio.Queue()
    rows = _rows(wish, adapter, pieces.put_nowait, server.chance)
    usage = Usage(sum(map(len, wish.prompts)))
    server.tokens["prompt"] += usage.prompt
    server.engine.add(rows)
    try:
        if wish.stream:
            return await _stream(request, wish, form, usage, pieces)
        return await _collect(wish, form, usage, pieces)
    finally:
        for row in rows:  # also when the client went away: nothing is generated for nobody
            server.finished[row.reason] += 1
            row.done = True
        server.tokens["drawn"] += sum(row.drawn for row in rows)


async def _collect(wish: requests.Wish, form: Format, usage: Usage, pieces: asyncio.Queue[Piece]) -> web.Response:
    answers: dict[int, Piece] = {}
    while len(answers) < wish.n * len(wish.prompts):
        piece = await pieces.get()
        if piece.error:
            raise RefusalError(piece.error, "InternalServerError", code=500)
        usage.count(piece)
        answers[piece.choice] = piece
    return _json(form.whole([answers[number] for number in sorted(answers)], usage))


async def _stream(
    request: web.Request, wish: requests.Wish, form: Format, usage: Usage, pieces: asyncio.Queue[Piece]
) -> web.StreamResponse:
    response = web.StreamResponse(headers=SSE_HEADERS)
    await response.prepare(request)
    left = wish.n * len(wish.prompts)
    for number in range(left):
        for chunk in form.opening(number, usage.running() if wish.continuous_usage else None):
            await response.write(sse(chunk))
    while left:
        piece = await pieces.get()
        if piece.error:
            await response.write(sse(RefusalError(piece.error, "InternalServerError", code=500).body))
            break
        usage.count(piece)
        left -= piece.finish is not None
        chunk = form.more(piece, usage.running() if wish.continuous_usage else None)
        if not left and not wish.include_usage:
            chunk.update(form.last_word)
        await response.write(sse(chunk))
    if wish.include_usage:
        await response.write(sse(form.closing(usage)))
    await response.write(sse("[DONE]"))
    return response


def application(
    server: Server, *, runtime_adapters: bool, dev_mode: bool = False, middleware: Sequence[str] = ()
) -> web.Application:
    """Put up the doors; those that load and unload exist only where the operator allows it."""
    before = [asgi_middleware(name) for name in reversed(middleware)]  # the last one named is asked first
    app = web.Application(middlewares=[*before, refusals], client_max_size=64 * 2**20)
    app[SERVER] = server
    app.router.add_get("/health", health, allow_head=False)
    app.router.add_get("/version", version, allow_head=False)
    app.router.add_get("/v1/models", list_models, allow_head=False)
    app.router.add_get("/metrics", metrics, allow_head=False)
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_post("/v1/completions", complete)
    app.router.add_post("/tokenize", tokenize)
    if runtime_adapters:
        app.router.add_post("/v1/load_lora_adapter", load_adapter)
        app.router.add_post("/v1/unload_lora_adapter", unload_adapter)
    if dev_mode:
        app.router.add_post("/sleep", sleep)
        app.router.add_post("/wake_up", wake_up)
        app.router.add_get("/is_sleeping", is_sleeping, allow_head=False)
    return app
