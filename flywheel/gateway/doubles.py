"""A model server that speaks the protocol and thinks nothing: for tests, benchmarks and trying the gateway out."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from flywheel.gateway.double_answers import embeddings, events, responses_events, responses_whole, whole

_SOON = 0.2


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """Return the body's JSON."""
        fields: dict[str, Any] = json.loads(self.body)
        return fields


@dataclass(slots=True)
class UpstreamDouble:
    """Answers for the models it holds, 404 for others; the switches make it slow, deaf or mortal."""

    models: set[str]
    chunks: int = 4
    chunk_seconds: float = 0.0
    dies_after: int | None = None
    drops_requests: int = 0
    refuses_with: int | None = None
    health: int = 200
    seen: list[Seen] = field(default_factory=list)
    clients_gone: int = 0
    streams_open: int = 0
    origin: str = ""

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator["UpstreamDouble"]:
        """Listen on the loopback until the block ends."""
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/v1/completions", self._complete)
        app.router.add_post("/v1/responses", self._complete)
        app.router.add_post("/v1/embeddings", self._complete)
        app.router.add_get("/v1/models", self._list)
        app.router.add_get("/health", self._tell_health)
        app.router.add_route("*", "/v1/{rest:.*}", self._echo)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=_SOON)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
            self.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

    async def _note(self, request: web.Request) -> Seen:
        seen = Seen(request.method, request.raw_path, dict(request.headers), await request.read())
        self.seen.append(seen)
        return seen

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        seen = await self._note(request)
        if self.drops_requests:
            self.drops_requests -= 1
            return _hang_up(request)
        if self.refuses_with is not None:
            return _error(self.refuses_with, "not now")
        try:
            fields = seen.fields
        except ValueError:
            return _error(400, "the body is not JSON")
        if fields.get("model") not in self.models:
            return _error(404, f"The model `{fields.get('model')}` does not exist.")
        if fields.get("stream"):
            return await self._stream(request, self._events(request.path, fields))
        await asyncio.sleep(self.chunk_seconds)
        return web.json_response(self._whole(request.path, fields))

    def _whole(self, path: str, fields: dict[str, Any]) -> dict[str, Any]:
        if path == "/v1/embeddings":
            return embeddings(fields)
        if path == "/v1/responses":
            return responses_whole(fields, self.chunks)
        return whole(fields, self.chunks, is_chat="chat" in path)

    def _events(self, path: str, fields: dict[str, Any]) -> Iterable[bytes]:
        if path == "/v1/responses":
            return responses_events(fields, self.chunks)
        return events(fields, self.chunks, is_chat="chat" in path)

    async def _stream(self, request: web.Request, told: Iterable[bytes]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        self.streams_open += 1
        try:
            for number, event in enumerate(told):
                if number == self.dies_after:
                    return _hang_up(request, response)
                await response.write(event)
                await asyncio.sleep(self.chunk_seconds)
        except (asyncio.CancelledError, ConnectionError):
            self.clients_gone += 1
            raise
        finally:
            self.streams_open -= 1
        return response

    async def _tell_health(self, request: web.Request) -> web.Response:  # noqa: ARG002 - the signature is aiohttp's
        return web.Response(status=self.health)

    async def _list(self, request: web.Request) -> web.Response:
        await self._note(request)
        data = [{"id": name, "object": "model", "max_model_len": 1024} for name in sorted(self.models)]
        return web.json_response({"object": "list", "data": data})

    async def _echo(self, request: web.Request) -> web.Response:
        seen = await self._note(request)
        return web.Response(body=seen.body, headers={"x-upstream-said": "echo", "content-type": "text/plain"})


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "NotFoundError", "code": status}}, status=status)


def _hang_up(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """Close the connection as a dying process does."""
    if request.transport is not None:
        request.transport.abort()
    return response or web.Response()
