"""The executor's life: takes its socket, proves its boxes, answers, and at a signal leaves without a trace."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import structlog

from flywheel.sandbox.plans import Plan
from flywheel.sandbox.services import Service
from flywheel.sandbox.sockets import Place, unix_listener

log = structlog.get_logger(__name__)

_AGAIN_SECONDS = 60.0


class Words(Protocol):
    """Word to whoever supervises: systemd, through the daemon's notifier."""

    def ready(self, status: str) -> None:
        """Say that the service is up."""

    def alive(self) -> None:
        """Say that the service is not stuck."""

    def status(self, status: str) -> None:
        """Say how things stand."""

    def stopping(self) -> None:
        """Say that the service is about to leave."""


async def serve_executor(
    plan: Plan, path: Path, words: Words, *, group: str | None = None, beat: float | None = None
) -> None:
    """Serve on the socket at `path` until SIGTERM or SIGINT; what runs then is given up, and its clients ask again."""
    stop = asyncio.Event()
    service = Service(plan)
    beating = asyncio.create_task(_beat(words, beat))
    place = Place(path, group, "an executor", "executor.socket", "executor.group")
    with unix_listener(place) as listener, _signals(stop):
        server = await asyncio.start_unix_server(service.answer, sock=listener)
        try:
            await _begin(service, stop)
            _tell(service, words, path)
            await _until(stop, service, words)
        finally:
            words.stopping()
            server.close()
            await service.leave()
            beating.cancel()
            log.info("executor.stopped")


async def check_executor(plan: Plan) -> str:
    """Return nothing when boxes of this plan hold here, else why not, with the mend; leaves nothing behind."""
    service = Service(plan)
    try:
        await service.begin()
        return service.why_not
    finally:
        await service.close()


def _tell(service: Service, words: Words, path: Path) -> None:
    if service.why_not:
        log.error("executor.refuses", reason=service.why_not)
        words.ready(f"refuses to evaluate: {service.why_not}"[:200])
    else:
        log.info("executor.listening_started", socket=str(path))
        words.ready("answering")


async def _until(stop: asyncio.Event, service: Service, words: Words) -> None:
    """Wait for the signal; while nothing may be evaluated, look now and then whether that was mended."""
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_AGAIN_SECONDS if service.why_not else None):
                await stop.wait()
        if not stop.is_set():
            await _begin(service, stop)
            words.status("answering" if not service.why_not else f"refuses to evaluate: {service.why_not}"[:200])


async def _begin(service: Service, stop: asyncio.Event) -> None:
    """Make and prove the boxes, or leave it when told to stop."""
    beginning, stopping = asyncio.create_task(service.begin()), asyncio.create_task(stop.wait())
    await asyncio.wait({beginning, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (beginning, stopping):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await beginning


async def _beat(words: Words, seconds: float | None) -> None:
    while seconds is not None:
        words.alive()
        await asyncio.sleep(seconds)


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
