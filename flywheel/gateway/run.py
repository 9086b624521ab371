"""The gateway's process: listens, says that it is ready, and ends without cutting what is on its way.

At SIGTERM or SIGINT it ends; at SIGHUP it gives way to a new process of itself, which may be of another version.
"""

import asyncio
import resource
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from aiohttp import web

from flywheel.core.clocks import Clock
from flywheel.core.errors import PermanentError
from flywheel.gateway.apps import build_app
from flywheel.gateway.handovers import Counts, Predecessor, Successor, start_successor
from flywheel.gateway.listeners import BACKLOG
from flywheel.gateway.openings import Opening, opening
from flywheel.gateway.settings import GatewaySettings
from flywheel.gateway.stations import STATION, Station

log = structlog.get_logger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_CUT_SECONDS = 0.5
_FILES = 65536  # a request takes two: the agent's connection and the server's
_LINGER_SECONDS = 5.0  # after a handover, for connections that only wait: each that asks once more is told to close


class Words(Protocol):
    """Word to whoever supervises: systemd, through the daemon's notifier."""

    def ready(self, status: str) -> None:
        """Say that requests are accepted."""

    def reloading(self) -> None:
        """Say that a handover has begun; `ready` or `succeeded` ends it."""

    def succeeded(self, pid: int, status: str) -> None:
        """Say that another process is the service from now on."""

    def alive(self) -> None:
        """Say that the service is not stuck."""

    def stopping(self) -> None:
        """Say that the service is about to leave."""


@dataclass(slots=True)
class _Ending:
    """The end that was asked for: with patience, and asked again, without; or a handover."""

    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    hurried: asyncio.Event = field(default_factory=asyncio.Event)
    heir_wanted: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self) -> None:
        (self.hurried if self.wanted.is_set() else self.wanted).set()


async def serve_gateway(
    settings: GatewaySettings,
    *,
    on_ready: Callable[[], None] | None = None,
    clock: Clock | None = None,
    words: Words | None = None,
    beat: float | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; then take no new connection and give the rest `drain_seconds` to end.

    A second signal ends it at once; SIGHUP lets a new process take the sockets over. `on_ready` is called once
    requests are accepted; `words` hears how things stand, every `beat` seconds that the loop turns. Raises
    ConflictError when the address is taken, SettingsError when others could knock there and there is no key.
    """
    _allow_files()
    with opening(settings) as place:
        app = build_app(place.settings, clock=clock, capture_apart=True)
        async with _running(app, place.settings) as runner, _signals() as ending:
            beating = asyncio.create_task(_beat(words, beat))
            if place.before is not None:
                _hear(app[STATION], await place.before.give_way())
            sites = await _listen(runner, place)
            log.info("gateway.listening_started", **_places(runner, place), home=str(settings.home))
            if on_ready is not None:
                on_ready()
            if words is not None:
                words.ready("answering")
                words.alive()  # after a handover the time that systemd gives runs on from the old process's last word
            async with _hearing(place.before, app[STATION]):
                heir = await _until(ending, place, words)
            for site in sites:
                await site.stop()
            place.close(handed_over=heir is not None)  # the next gateway may have a socket there before we end
            async with _telling(heir, app[STATION]):
                cut = await _drained(runner, app[STATION], ending, heir)
            beating.cancel()
            log.info("gateway.stopped", requests_cut=cut, handed_over=heir is not None)


async def _until(ending: _Ending, place: Opening, words: Words | None) -> Successor | None:
    """Wait for the end; return who goes on where a handover was asked for and came about."""
    while True:
        await _first(ending.wanted.wait(), ending.heir_wanted.wait())
        if ending.wanted.is_set():
            if words is not None:
                words.stopping()
            return None
        ending.heir_wanted.clear()
        heir = await _heir(place, words)
        if heir is not None:
            return heir


async def _heir(place: Opening, words: Words | None) -> Successor | None:
    """Have a new process take over; None when it does not come about, which changes nothing here."""
    if words is not None:
        words.reloading()
    try:
        heir = await start_successor(place.sockets, owned=place.owned)
    except (PermanentError, OSError) as error:
        log.warning("gateway.handover_failed", reason=str(error))
        if words is not None:
            words.ready(f"answering; a handover failed: {error}"[:200])
        return None
    if words is not None:
        words.succeeded(heir.pid, "answering")
    log.info("gateway.handed_over", process=heir.pid)
    return heir


async def _drained(runner: web.AppRunner, station: Station, ending: _Ending, heir: Successor | None) -> int:
    """Wait for the requests on their way, as long as they may take; return how many are left."""
    station.draining = True
    if heir is not None:  # nobody waits for us: a long answer may be as long as it is
        await _first(_quiet(runner, station), ending.wanted.wait())
    await _first(station.in_flight.end(station.settings.drain_seconds), ending.hurried.wait())
    return station.in_flight.total


async def _quiet(runner: web.AppRunner, station: Station) -> None:
    """Wait until no request is on its way, and a moment for those that come by connections that are open already."""
    await station.in_flight.end(station.settings.handover_seconds)
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while runner.server is not None and runner.server.connections:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.05)


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait for the first of them, and give up the others."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _telling(heir: Successor | None, station: Station) -> AsyncIterator[None]:
    """Tell the next gateway what is on its way here, until the block ends."""
    if heir is None:
        yield
        return
    async with _beside(heir.take_over(lambda: _counts(station))):
        yield
    heir.close()


@asynccontextmanager
async def _hearing(before: Predecessor | None, station: Station) -> AsyncIterator[None]:
    """Count what is on its way at the gateway before, until the block ends."""
    if before is None:
        yield
        return
    async with _beside(before.listen(lambda counts: _hear(station, counts))):
        yield


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _counts(station: Station) -> Counts:
    calls = {name: count for name, count in station.holds.tell().items() if name != "quiet_seconds"}
    return {"models": station.in_flight.models(), "calls": calls}


def _hear(station: Station, counts: Counts) -> None:
    station.in_flight.elsewhere = counts.get("models", {})
    station.holds.elsewhere = counts.get("calls", {})


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
    loop.add_signal_handler(signal.SIGHUP, ending.heir_wanted.set)
    try:
        yield ending
    finally:
        for number in (*_SIGNALS, signal.SIGHUP):
            loop.remove_signal_handler(number)


async def _listen(runner: web.AppRunner, place: Opening) -> list[web.BaseSite]:
    sites: list[web.BaseSite] = []
    for listener in await place.open():
        sites.append(web.SockSite(runner, listener, backlog=BACKLOG))
        await sites[-1].start()
    return sites


def _places(runner: web.AppRunner, place: Opening) -> dict[str, object]:
    """Return where it listens, for the log."""
    settings = place.settings
    port = next((address[1] for address in runner.addresses if isinstance(address, tuple)), None)
    return {
        **({"host": settings.host, "port": port} if settings.host else {}),
        **({"socket": str(settings.socket)} if settings.socket else {}),
        **({} if place.owned else {"opened_by": "systemd"}),
    }


async def _beat(words: Words | None, seconds: float | None) -> None:
    """Tell systemd that the loop turns."""
    while words is not None and seconds is not None:
        words.alive()
        await asyncio.sleep(seconds)


def _allow_files() -> None:
    """Allow as many open files as the system lets us: a shell's usual 1,024 are 500 requests."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
