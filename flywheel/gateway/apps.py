"""The gateway put together: its parts, its paths, and the order in which they start and end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from aiohttp import web

from flywheel.core.clocks import Clock, SystemClock
from flywheel.gateway.captures import Bounds, CaptureWriter
from flywheel.gateway.completions import answer_completion
from flywheel.gateway.holds import Holds
from flywheel.gateway.listings import list_models, show_health, show_routing
from flywheel.gateway.passages import pass_through
from flywheel.gateway.refusals import Handler, shaped_errors
from flywheel.gateway.relays import Relay
from flywheel.gateway.routes import RoutingTable
from flywheel.gateway.settings import GatewaySettings
from flywheel.gateway.stations import STATION, Station
from flywheel.gateway.upstreams import Upstreams, client_session

Context = Callable[[web.Application], AsyncIterator[None]]


def build_app(settings: GatewaySettings, *, clock: Clock | None = None) -> web.Application:
    """Return the gateway's application; nothing is opened before it starts.

    Whoever runs it sets `handler_cancellation`, or a client that leaves would not end its generation.
    """
    app = web.Application(client_max_size=settings.body_limit, middlewares=[_count, shaped_errors])
    app.cleanup_ctx.append(_parts(settings, clock or SystemClock()))
    app.on_response_prepare.append(_close_when_draining)
    app.router.add_post("/v1/chat/completions", answer_completion)
    app.router.add_post("/v1/completions", answer_completion)
    app.router.add_get("/v1/models", list_models, allow_head=False)
    app.router.add_get("/health", show_health)
    app.router.add_get("/flywheel/routing", show_routing)
    app.router.add_route("*", "/v1/{rest:.*}", pass_through)
    return app


def _parts(settings: GatewaySettings, clock: Clock) -> Context:
    async def context(app: web.Application) -> AsyncIterator[None]:
        routes = RoutingTable(settings.routing_file, settings.first_routing())
        routes.refresh()  # before the first request, not a moment after it
        capture = _capture(settings, clock)
        async with client_session(settings) as session:
            app[STATION] = Station(
                settings, clock, routes, Upstreams(session), Relay(clock), capture, Holds(routes, clock)
            )
            following = asyncio.create_task(routes.follow())
            yield
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
        if capture is not None:
            await asyncio.to_thread(capture.close)

    return context


def _capture(settings: GatewaySettings, clock: Clock) -> CaptureWriter | None:
    if not settings.capture:
        return None
    capture = CaptureWriter(settings.capture_file, clock, Bounds(file_bytes=settings.capture_limit))
    capture.start()
    return capture


@web.middleware
async def _count(request: web.Request, handler: Handler) -> web.StreamResponse:
    with request.app[STATION].in_flight.present():
        return await handler(request)


async def _close_when_draining(request: web.Request, response: web.StreamResponse) -> None:
    """Let agents open their next connection elsewhere, or a busy one would hold the end up."""
    if request.app[STATION].draining:
        response.force_close()
        response.headers["connection"] = "close"
