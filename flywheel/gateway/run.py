"""The gateway's process: listens, says that it is ready, and at a signal ends without cutting what is on its way."""

import asyncio
import resource
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from flywheel.core.clocks import Clock
from flywheel.core.errors import ConflictError
from flywheel.gateway.apps import build_app
from flywheel.gateway.settings import GatewaySettings
from flywheel.gateway.stations import STATION, Station
from flywheel.sandbox.sockets import Place, unix_listener

log = structlog.get_logger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_CUT_SECONDS = 0.5
_BACKLOG = 1024
_FILES = 65536  # a request takes two: the agent's connection and the server's


@dataclass(slots=True)
class _Ending:
    """The end that was asked for: with patience, and asked again, without."""

    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    hurried: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self) -> None:
        (self.hurried if self.wanted.is_set() else self.wanted).set()


async def serve_gateway(
    settings: GatewaySettings, *, on_ready: Callable[[], None] | None = None, clock: Clock | None = None
) -> None:
    """Serve until SIGTERM or SIGINT; then take no new connection and give the rest `drain_seconds` to end.

    A second signal ends it at once. `on_ready` is called once requests are accepted. Raises ConflictError when the
    address is taken, SettingsError when others could knock there and there is no key.
    """
    _allow_files()
    app = build_app(settings, clock=clock, capture_apart=True)
    async with AsyncExitStack() as stack, _running(app, settings) as runner, _signals() as ending:
        sites = await _listen(runner, settings, stack)
        log.info("gateway.listening_started", **_places(runner, settings), home=str(settings.home))
        if on_ready is not None:
            on_ready()
        await ending.wanted.wait()
        for site in sites:
            await site.stop()
        await stack.aclose()  # the socket's file goes now: the next gateway may have one in its place before we end
        cut = await _drained(app[STATION], ending)
        log.info("gateway.stopped", requests_cut=cut)


async def _drained(station: Station, ending: _Ending) -> int:
    """Wait for the requests on their way, as long as they may take; return how many are left."""
    station.draining = True
    waits = [
        asyncio.create_task(station.in_flight.end(station.settings.drain_seconds)),
        asyncio.create_task(ending.hurried.wait()),
    ]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    return station.in_flight.total


@asynccontextmanager
async def _running(app: web.Application, settings: GatewaySettings) -> AsyncIterator[web.AppRunner]:
    runner = web.AppRunner(
        app,
        access_log=None,  # the capture is the record; a second one would only cost time
        handler_cancellation=True,  # a client that leaves ends its generation
        shutdown_timeout=_CUT_SECONDS,
        max_line_size=settings.header_limit,
        max_field_size=settings.header_limit,
    )
    try:
        await runner.setup()
        yield runner
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _signals() -> AsyncIterator[_Ending]:
    loop, ending = asyncio.get_running_loop(), _Ending()
    for number in _SIGNALS:
        loop.add_signal_handler(number, ending.ask)
    try:
        yield ending
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _listen(runner: web.AppRunner, settings: GatewaySettings, stack: AsyncExitStack) -> list[web.BaseSite]:
    """Listen at the port, at the socket, or at both."""
    sites: list[web.BaseSite] = []
    if settings.host:
        sites.append(await _listen_at_port(runner, settings))
    if settings.socket is not None:
        place = Place(settings.socket, settings.socket_group, "a gateway", "gateway.socket", "gateway.socket_group")
        listener = stack.enter_context(unix_listener(place))
        site = web.SockSite(runner, listener, backlog=_BACKLOG)
        await site.start()
        sites.append(site)
    return sites


async def _listen_at_port(runner: web.AppRunner, settings: GatewaySettings) -> web.TCPSite:
    site = web.TCPSite(runner, settings.host, settings.port, backlog=_BACKLOG)
    try:
        await site.start()
    except OSError as error:
        message = f"the gateway cannot listen on {settings.host}:{settings.port}: {error.strerror or error}"
        raise ConflictError(message, "end the process that holds the port, or set another one") from error
    return site


def _places(runner: web.AppRunner, settings: GatewaySettings) -> dict[str, object]:
    """Return where it listens, for the log."""
    port = next((address[1] for address in runner.addresses if isinstance(address, tuple)), None)
    return {
        **({"host": settings.host, "port": port} if settings.host else {}),
        **({"socket": str(settings.socket)} if settings.socket else {}),
    }


def _allow_files() -> None:
    """Allow as many open files as the system lets us: a shell's usual 1,024 are 500 requests."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
