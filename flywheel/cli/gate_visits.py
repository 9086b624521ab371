"""An adapter's visit to a model server: loaded under a name of its own, answered once, and unloaded whatever happens.

A visit that was killed outright leaves its name behind; the next one takes it off the server.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from flywheel.core.errors import FlywheelError, PermanentError, UnavailableError
from flywheel.core.ids import bytes_hash
from flywheel.serve.servers import AdapterRefusedError, Server

_PREFIX = "flywheel-gate"
_WORK_SECONDS = 120.0
_LEAVE_SECONDS = 10.0
_LATE_LOADS = 3  # looks for a load that was under way when the visit was broken off
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)

Warn = Callable[[str], None]


@contextmanager
def visiting(url: str, served_as: str, folder: str, warn: Warn) -> Iterator[str]:
    """Give the name under which the server answers for the adapter; at the end, also an early one, it is unloaded."""
    name = f"{_PREFIX}-{_host()}-{os.getpid()}"
    with _interruptible():
        asyncio.run(_make_room(url, served_as))
        arrived = False
        try:
            asyncio.run(_arrive(url, name, folder))
            arrived = True
            yield name
        finally:
            _leave(url, name, 1 if arrived else _LATE_LOADS, warn)


async def _make_room(url: str, served_as: str) -> None:
    """Look whether the server is there with this base, and take off what killed visits of this machine left."""
    async with Server(url, work_seconds=_WORK_SECONDS) as server:
        if await server.is_sleeping():
            raise UnavailableError(f"{url} sleeps, as it does while training has the GPU", "try again when it is awake")
        models = {model.name for model in await server.models()}
        if served_as not in models:
            told = f"it serves: {', '.join(sorted(models)) or 'nothing'}"
            raise PermanentError(f"{url} serves no base {served_as!r}", told)
        for name in sorted(models):
            if _is_left_behind(name):
                await server.unload(name)


async def _arrive(url: str, name: str, folder: str) -> None:
    async with Server(url, work_seconds=_WORK_SECONDS) as server:
        try:
            await server.load(name, folder)
            await server.ask(name)
        except AdapterRefusedError as error:
            raise PermanentError(error.message, f"the server must be able to read {folder}") from error


def _leave(url: str, name: str, looks: int, warn: Warn) -> None:
    """Unload, undisturbed by a second Ctrl-C; a server that cannot is told of, with what to do by hand."""
    with _undisturbed():
        try:
            asyncio.run(_unload(url, name, looks))
        except FlywheelError as error:
            warn(f"{name} could not be unloaded from {url}: {error.message}; the next `flywheel gate` tries again")


async def _unload(url: str, name: str, looks: int) -> None:
    async with Server(url, look_seconds=_LEAVE_SECONDS, work_seconds=_LEAVE_SECONDS) as server:
        for look in range(looks):
            if await server.unload(name):
                return
            if look + 1 < looks:
                await asyncio.sleep(0.5)


def _host() -> str:
    return bytes_hash([socket.gethostname().encode()])[:6]


def _is_left_behind(name: str) -> bool:
    """Tell whether a name is one of this machine's visits whose process is gone."""
    prefix, _, pid = name.rpartition("-")
    if prefix != f"{_PREFIX}-{_host()}" or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return int(pid) == os.getpid()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let being told to end be what Ctrl-C is, so that everything is tidied up on the way out."""

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature is signal's
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in _ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold signals back for the seconds that tidying up takes, and deliver them after it."""
    held: list[int] = []
    numbers = (signal.SIGINT, *_ENDINGS)
    before = {number: signal.signal(number, lambda got, _: held.append(got)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:
            raise KeyboardInterrupt
