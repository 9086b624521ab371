"""The dashboard's process: listens, says where, and leaves at a signal or when the daemon that started it is gone."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator

import structlog
from aiohttp import web

from flywheel.core.errors import ConflictError
from flywheel.daemon.settings import Settings
from flywheel.web.apps import build_app

log = structlog.get_logger(__name__)

_CUT_SECONDS = 1.0


async def serve_web(settings: Settings, *, child: bool = False, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; as a child also until standard input ends, which it does with the parent.

    `on_ready` is told the address. Raises ConflictError when the address is taken, SettingsError when others could
    knock there and no token was set.
    """
    runner = web.AppRunner(
        build_app(settings), access_log=None, handler_cancellation=True, shutdown_timeout=_CUT_SECONDS
    )
    with _ending(child=child) as end:
        try:
            await runner.setup()
            address = await _listen(runner, settings)
            log.info("web.listening_started", url=address)
            if on_ready is not None:
                on_ready(address)
            await end.wait()
        finally:
            await runner.cleanup()
            log.info("web.stopped")


async def _listen(runner: web.AppRunner, settings: Settings) -> str:
    host, port = settings.web.host, settings.web.port
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        message = f"the dashboard cannot listen on {host}:{port}: {error.strerror or error}"
        raise ConflictError(message, "`flywheel run` serves it already, or set another [web] port") from error
    taken = next(address[1] for address in runner.addresses if isinstance(address, tuple))
    return f"http://{f'[{host}]' if ':' in host else host}:{taken}/"


@contextlib.contextmanager
def _ending(*, child: bool) -> Iterator[asyncio.Event]:
    """Give the event of the end: a signal, and for a child the end of standard input."""
    loop, end = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, end.set)
    if child:
        loop.add_reader(sys.stdin.fileno(), _gone, end)
    try:
        yield end
    finally:
        if child:
            loop.remove_reader(sys.stdin.fileno())
        for number in signals:
            loop.remove_signal_handler(number)


def _gone(end: asyncio.Event) -> None:
    """Notice the end of standard input; what else comes there means nothing."""
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        end.set()
