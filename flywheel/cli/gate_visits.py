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
from typing import NamedTuple

from flywheel.core.errors import FlywheelError, PermanentError, UnavailableError
from flywheel.core.ids import bytes_hash
from flywheel.serve.servers import AdapterRefusedError, Server

_PREFIX = "flywheel-gate"
_WORK_SECONDS = 120.0
_LEAVE_SECONDS = 10.0
_LATE_LOADS = 3  # looks for a load that was under way when the visit was broken off
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)

Warn = Callable[[str], None]


class Visit(NamedTuple):
    """Who visits: the server, the base it must serve, the adapter's folder, and the token for a server locked down."""

    url: str
    served_as: str
    folder: str
    token: str = ""

    def server(self, work_seconds: float = _WORK_SECONDS, **limits: float) -> Server:
        """Return a client of the server."""
        return Server(self.url, work_seconds=work_seconds, token=self.token, **limits)


@contextmanager
def visiting(visit: Visit, warn: Warn) -> Iterator[str]:
    """Give the name under which the server answers for the adapter; at the end, also an early one, it is unloaded."""
    name = f"{_PREFIX}-{_host()}-{os.getpid()}"
    with _interruptible():
        asyncio.run(_make_room(visit))
        arrived = False
        try:
            asyncio.run(_arrive(visit, name))
            arrived = True
            yield name
        finally:
            _leave(visit, name, 1 if arrived else _LATE_LOADS, warn)


async def _make_room(visit: Visit) -> None:
    """Look whether the server is there with this base, and take off what killed visits of this machine left."""
    url, served_as = visit.url, visit.served_as
    async with visit.server() as server:
        if await server.is_sleeping():
            raise UnavailableError(f"{url} sleeps, as it does while training has the GPU", "try again when it is awake")
        models = {model.name for model in await server.models()}
        if served_as not in models:
            told = f"it serves: {', '.join(sorted(models)) or 'nothing'}"
            raise PermanentError(f"{url} serves no base {served_as!r}", told)
        for name in sorted(models):
            if _is_left_behind(name):
                await server.unload(name)


async def _arrive(visit: Visit, name: str) -> None:
    async with visit.server() as server:
        try:
            await server.load(name, visit.folder)
            await server.ask(name)
        except AdapterRefusedError as error:
            raise PermanentError(error.message, f"the server must be able to read {visit.folder}") from error


def _leave(visit: Visit, name: str, looks: int, warn: Warn) -> None:
    """Unload, undisturbed by a second Ctrl-C; a server that cannot is told of, with what to do by hand."""
    with _undisturbed():
        try:
            asyncio.run(_unload(visit, name, looks))
        except FlywheelError as error:
            told = f"{name} could not be unloaded from {visit.url}: {error.message}"
            warn(f"{told}; the next `flywheel gate` tries again")


async def _unload(visit: Visit, name: str, looks: int) -> None:
    async with visit.server(_LEAVE_SECONDS, look_seconds=_LEAVE_SECONDS) as server:
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
