"""The gateway put together: its parts, its paths, and the order in which they start and end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from aiohttp import web

from flywheel.core.clocks import Clock, SystemClock
from flywheel.gateway.captures import Bounds, CaptureWriter
from flywheel.gateway.completions import answer_completion, answer_uncaptured
from flywheel.gateway.doors import Door
from flywheel.gateway.entries import at_the_door
from flywheel.gateway.healths import Healths
from flywheel.gateway.holds import Holds
from flywheel.gateway.keyrings import Keyring
from flywheel.gateway.keys import KeyFile
from flywheel.gateway.listings import list_models, show_health, show_routing
from flywheel.gateway.metrics import add_metrics
from flywheel.gateway.ollama_doors import add_ollama
from flywheel.gateway.passages import pass_through
from flywheel.gateway.relays import Relay
from flywheel.gateway.routes import RoutingTable
from flywheel.gateway.settings import GatewaySettings
from flywheel.gateway.stations import STATION, Station
from flywheel.gateway.upstreams import Upstreams, client_session
from flywheel.gateway.wires import Wires
from flywheel.proc.telemetry import open_tracer

Context = Callable[[web.Application], AsyncIterator[None]]


def build_app(settings: GatewaySettings, *, clock: Clock | None = None, capture_apart: bool = False) -> web.Application:
    """Return the gateway's application; nothing is opened before it starts.

    Whoever runs it sets `handler_cancellation`, or a client that leaves would not end its generation. With
    `capture_apart` the capture is written by a process of its own.
    """
    app = web.Application(client_max_size=settings.body_limit, middlewares=[at_the_door])
    app.cleanup_ctx.append(_parts(settings, clock or SystemClock(), capture_apart=capture_apart))
    app.on_response_prepare.append(_close_when_draining)
    app.router.add_post("/v1/chat/completions", answer_completion)
    app.router.add_post("/v1/completions", answer_completion)
    app.router.add_post("/v1/responses", answer_completion)
    app.router.add_post("/v1/embeddings", answer_uncaptured)
    app.router.add_get("/v1/models", list_models, allow_head=False)
    app.router.add_get("/health", show_health)
    app.router.add_get("/healthz", show_health)
    add_metrics(app.router)
    app.router.add_get("/flywheel/routing", show_routing)
    app.router.add_route("*", "/v1/{rest:.*}", pass_through)
    add_ollama(app.router)
    return app


def _parts(settings: GatewaySettings, clock: Clock, *, capture_apart: bool) -> Context:
    async def context(app: web.Application) -> AsyncIterator[None]:
        routes = RoutingTable(settings.routing_file, settings.first_routing())
        routes.refresh()  # before the first request, not a moment after it
        door = Door(settings, Keyring(KeyFile(settings.key_file), clock), clock)
        tracer = open_tracer(settings.telemetry, "flywheel-gateway")
        capture = _capture(settings, clock, apart=capture_apart)
        async with client_session(settings) as session:
            healths = Healths(clock)
            wires = Wires(settings.connect_timeout)
            upstreams, holds = Upstreams(wires, session, healths), Holds(routes, clock)
            app[STATION] = Station(settings, clock, routes, upstreams, Relay(clock), capture, holds, door)
            app[STATION].tracer = tracer
            async with _beside(
                routes.follow(), healths.watch(session, lambda: routes.current.upstreams, settings.check_seconds)
            ):
                yield
            await app[STATION].mirrors.close()
            wires.close()
        if capture is not None:
            await asyncio.to_thread(capture.close)
        await asyncio.to_thread(tracer.close)

    return context


def _capture(settings: GatewaySettings, clock: Clock, *, apart: bool) -> CaptureWriter | None:
    if not settings.capture:
        return None
    bounds = Bounds(file_bytes=settings.capture_limit, age=timedelta(days=settings.capture_days))
    capture = CaptureWriter(settings.capture_file, clock, bounds, apart=apart)
    capture.start()
    return capture


@asynccontextmanager
async def _beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let work go on until the block ends."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _close_when_draining(request: web.Request, response: web.StreamResponse) -> None:
    """Let agents open their next connection elsewhere, or a busy one would hold the end up."""
    if request.app[STATION].draining:
        response.force_close()
        response.headers["connection"] = "close"
