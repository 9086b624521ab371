"""A door in front of llama-server with vLLM's handles: names instead of numbers, loading while it runs.

Daemon, gateway and gate talk to it as to any model server. A name in a request becomes the numbers that llama-server
understands; loading a name means making its GGUF, writing the command line and starting the server anew, while calls
wait here. Nothing is cut, and no call meets numbers of another start.
"""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from aiohttp import web

from flywheel.core.clocks import Clock
from flywheel.core.errors import FlywheelError, UnavailableError
from flywheel.core.ids import split_served_name
from flywheel.proc.tokens import TOKEN_HEADER
from flywheel.serve.llama_commands import with_scales
from flywheel.serve.llama_servers import LlamaServer, LlamaSite
from flywheel.serve.llama_turnstiles import Turnstile

log = structlog.get_logger(__name__)

_ASKED = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/messages")
_BODY_LIMIT = 64 * 2**20
_WATCH_SECONDS = 5.0
_CONNECT_SECONDS = 30.0


class LlamaDoor:
    """Answers as a model server that loads adapters while it runs."""

    def __init__(self, server: LlamaServer, session: aiohttp.ClientSession, token: Callable[[], str]) -> None:
        """Stand before `server`; loading and unloading want the daemon's token."""
        self._server = server
        self._session = session
        self._token = token
        self._turnstile = Turnstile()
        self._dropped: set[str] = set()  # unloaded, and gone from the server itself at its next start

    def app(self) -> web.Application:
        """Return the handles."""
        app = web.Application(client_max_size=_BODY_LIMIT, middlewares=[_refusals])
        app.router.add_get("/health", self._health)
        app.router.add_get("/version", self._version)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/load_lora_adapter", self._daemons(self._load))
        app.router.add_post("/v1/unload_lora_adapter", self._daemons(self._unload))
        for path in _ASKED:
            app.router.add_post(path, self._ask)
        return app

    async def watch(self) -> None:
        """Look now and then whether the server holds what was written, for ever."""
        while True:
            try:
                if self._turnstile.is_open:
                    await self._mend()
            except FlywheelError as error:
                log.warning("llama.server_failed", reason=str(error))
            await asyncio.sleep(_WATCH_SECONDS)

    async def _mend(self) -> None:
        with suppress(UnavailableError):
            await self._server.numbers()
            return
        self._server.forget()
        async with self._turnstile.closed(self._server.site.drain_seconds):
            await self._server.mend()

    def _names(self) -> dict[str, str]:
        return {one.name: one.path for one in self._server.shelf.held if one.name not in self._dropped}

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(status=200 if await self._server.healthy() else 503)

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "llama-server"})

    async def _models(self, _: web.Request) -> web.Response:
        """List the base and the adapters; while the server is started anew, what is about to be."""
        if self._turnstile.is_open and not await self._server.healthy():
            return _error(503, "llama-server does not answer")
        site = self._server.site
        data: list[dict[str, Any]] = [{"id": site.served_as, "object": "model", "root": str(site.base), "parent": None}]
        data += [{"id": name, "object": "model", "root": path, "parent": site.served_as}
                 for name, path in self._names().items()]  # fmt: skip
        return web.json_response({"object": "list", "data": data})

    async def _load(self, request: web.Request) -> web.Response:
        fields = await _fields(request)
        name, path = str(fields.get("lora_name") or ""), str(fields.get("lora_path") or "")
        if wrong := self._wrong(name, path):
            return wrong
        # It goes on when the one who asked gives up: the next look finds the name, or asks again.
        await asyncio.shield(asyncio.ensure_future(self._hold_too(name, path)))
        return web.Response(text=f"Success: LoRA adapter '{name}' added successfully.")

    def _wrong(self, name: str, path: str) -> web.Response | None:
        if split_served_name(name) is None or not Path(path).is_absolute():
            return _error(400, "Both 'lora_name', as in line@7, and 'lora_path', absolute, must be provided.")
        if name in self._names():
            return _error(400, f"The lora adapter '{name}' has already been loaded.")
        if not (Path(path) / "adapter_config.json").is_file():
            return _error(404, f"Loading lora {name} failed: No adapter found for {path}")
        return None

    async def _hold_too(self, name: str, path: str) -> None:
        server = self._server
        known = server.shelf.find(name)
        if known is None or known.path != path:
            held = await server.convert(name, Path(path))
            async with self._turnstile.closed(server.site.drain_seconds):
                shelf = server.shelf
                for gone in self._dropped:
                    shelf = shelf.without(gone)
                await server.start_with(shelf.having(held))
                self._dropped.clear()
        self._dropped.discard(name)

    async def _unload(self, request: web.Request) -> web.Response:
        name = str((await _fields(request)).get("lora_name") or "")
        if name not in self._names():
            return _error(404, f"The lora adapter '{name}' cannot be found.")
        self._dropped.add(name)
        return web.Response(text=f"Success: LoRA adapter '{name}' removed successfully.")

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        """Pass a call on with numbers in the place of its name; hang up where the server does."""
        fields = await _fields(request)
        async with self._turnstile.call():
            name = fields.get("model") or self._server.site.served_as
            if name != self._server.site.served_as and name not in self._names():
                return _error(404, f"The model `{name}` does not exist.")
            try:
                numbers = await self._server.numbers()
                body = json.dumps(with_scales(fields, numbers.get(str(name)), len(numbers))).encode()
                return await self._relay(request, body)
            except (aiohttp.ClientError, OSError, UnavailableError) as error:
                log.warning("llama.server_failed", reason=str(error))
                self._server.forget()
                if request.transport is not None:
                    request.transport.abort()  # the gateway asks another server, as when this one were gone
                return web.Response()

    async def _relay(self, request: web.Request, body: bytes) -> web.StreamResponse:
        headers = {"content-type": "application/json"}
        url = f"{self._server.site.url}{request.rel_url.raw_path_qs}"
        async with self._session.post(url, data=body, headers=headers) as upstream:
            kind = upstream.headers.get("content-type", "application/json")
            response = web.StreamResponse(status=upstream.status, headers={"content-type": kind})
            await response.prepare(request)
            async for piece in upstream.content.iter_any():
                await response.write(piece)
            await response.write_eof()
        return response

    def _daemons(self, handler: Callable[[web.Request], Awaitable[web.Response]]) -> Any:
        async def guarded(request: web.Request) -> web.Response:
            token = self._token()
            if not token or not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), token.encode()):
                return _error(403, "not open here: flywheel's lock-down lets only the daemon load and unload")
            return await handler(request)

        return guarded


@asynccontextmanager
async def llama_door(site: LlamaSite, clock: Clock, token: Callable[[], str]) -> AsyncIterator[web.Application]:
    """Give the door's application, watching its server until the block ends."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
    # A kept connection holds one of llama-server's few threads, and is closed under the next request.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
        server = LlamaServer(site, clock, session)
        await asyncio.to_thread(server.prepare)
        door = LlamaDoor(server, session, token)
        watch = asyncio.create_task(door.watch())
        try:
            yield door.app()
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch


@web.middleware
async def _refusals(request: web.Request, handler: Any) -> web.StreamResponse:
    """Say what stands against a request in the shape of vLLM's errors."""
    try:
        answer: web.StreamResponse = await handler(request)
    except UnavailableError as error:
        return _error(503, str(error))
    except FlywheelError as error:
        return _error(500, str(error))
    return answer


async def _fields(request: web.Request) -> dict[str, Any]:
    try:
        fields = json.loads(await request.read())
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        text = json.dumps({"error": {"message": "the body is no JSON object", "type": "BadRequestError", "code": 400}})
        raise web.HTTPBadRequest(text=text, content_type="application/json")
    return fields


def _error(status: int, message: str) -> web.Response:
    kind = {400: "BadRequestError", 403: "PermissionDeniedError", 404: "NotFoundError"}.get(
        status, "InternalServerError"
    )
    return web.json_response({"error": {"message": message, "type": kind, "code": status}}, status=status)
