"""The gateway's process: listens, says that it is ready, and at a signal ends without cutting what is on its way."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from flywheel.core.clocks import Clock
from flywheel.core.errors import ConflictError
from flywheel.gateway.apps import build_app
from flywheel.gateway.settings import GatewaySettings
from flywheel.gateway.stations import STATION

log = structlog.get_logger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_CUT_SECONDS = 0.5
_HEADER_BYTES = 65536
_BACKLOG = 1024


async def serve_gateway(
    settings: GatewaySettings, *, on_ready: Callable[[], None] | None = None, clock: Clock | None = None
) -> None:
    """Serve until SIGTERM or SIGINT; then take no new connection and give the rest `drain_seconds` to end.

    `on_ready` is called once requests are accepted. Raises ConflictError when the address is taken.
    """
    app = build_app(settings, clock=clock)
    stop = asyncio.Event()
    async with _running(app) as runner, _signals(stop):
        site = await _listen(runner, settings)
        log.info("gateway.listening_started", host=settings.host, port=_port(runner), home=str(settings.home))
        if on_ready is not None:
            on_ready()
        await stop.wait()
        await site.stop()
        station = app[STATION]
        station.draining = True
        cut = await station.in_flight.end(settings.drain_seconds)
        log.info("gateway.stopped", requests_cut=cut)


@asynccontextmanager
async def _running(app: web.Application) -> AsyncIterator[web.AppRunner]:
    runner = web.AppRunner(
        app,
        access_log=None,  # the capture is the record; a second one would only cost time
        handler_cancellation=True,  # a client that leaves ends its generation
        shutdown_timeout=_CUT_SECONDS,
        max_line_size=_HEADER_BYTES,
        max_field_size=_HEADER_BYTES,
    )
    try:
        await runner.setup()
        yield runner
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _signals(stop: asyncio.Event) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _listen(runner: web.AppRunner, settings: GatewaySettings) -> web.TCPSite:
    site = web.TCPSite(runner, settings.host, settings.port, backlog=_BACKLOG)
    try:
        await site.start()
    except OSError as error:
        message = f"the gateway cannot listen on {settings.host}:{settings.port}: {error.strerror or error}"
        raise ConflictError(message, "end the process that holds the port, or set another one") from error
    return site


def _port(runner: web.AppRunner) -> int:
    return int(runner.addresses[0][1])
