"""The executor's life: takes its socket, proves its boxes, answers, and at a signal leaves without a trace."""

import asyncio
import contextlib
import grp
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import structlog

from flywheel.core.errors import ConflictError, PermanentError, SettingsError
from flywheel.sandbox.plans import Plan
from flywheel.sandbox.services import Service

log = structlog.get_logger(__name__)

_AGAIN_SECONDS = 60.0
_LONGEST_PATH = 107


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
    with _listening(path, group) as listener, _signals(stop):
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


@contextlib.contextmanager
def _listening(path: Path, group: str | None) -> Iterator[socket.socket]:
    """Give a listening socket that its owner, or a group, may talk to; a dead one in its place is taken over."""
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise SettingsError(f"the path of a socket is at most {_LONGEST_PATH} bytes: {path}", "set executor.socket")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        _clear(path)
        listener = _bound(path, grp.getgrnam(group).gr_gid if group else None)
    except LookupError as error:
        raise SettingsError(f"there is no group {group}", "set executor.group to one that is there") from error
    except OSError as error:
        raise PermanentError(f"no socket at {path}: {error.strerror}", "set executor.socket") from error
    inode = path.stat().st_ino
    try:
        yield listener
    finally:
        listener.close()
        with contextlib.suppress(OSError):
            if path.stat().st_ino == inode:
                path.unlink()


def _bound(path: Path, group: int | None) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)  # closed to others from its first moment
    try:
        listener.bind(str(path))
        if group is not None:
            os.chown(path, -1, group)
            path.chmod(0o660)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    listener.listen(128)
    return listener


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens at; ConflictError where somebody does."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink()
            return
    raise ConflictError(f"an executor listens at {path} already", "end it first, or set executor.socket")
