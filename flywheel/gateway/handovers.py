"""A gateway gives way to the next one, as at an upgrade, and no request is lost.

The old process starts the same command again and hands it the sockets. When that says that it is ready, it gets the
word to listen; the old one takes no new connection, answers what is on its way, and tells the new one meanwhile what
that is, so that the daemon takes no model away from under it. A new one that does not get ready changes nothing.
"""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import suppress
from typing import Any

from flywheel.core.errors import ConflictError, PermanentError
from flywheel.gateway.listeners import taken

VARIABLE = "FLYWHEEL_HANDOVER"
_READY_SECONDS = 120.0  # a cold start on a crowded machine; the old gateway serves meanwhile
_TELL_SECONDS = 0.1
_LONGEST_LINE = 1 << 20
_OWNED, _LENT = "owned", "lent"  # sockets that a gateway opened, and those that are systemd's
#: Starts the command as nobody's child: who supervises the old process then supervises the new one by itself.
_APART = "import os, sys\nif os.fork() == 0: os.execvp(sys.argv[1], sys.argv[1:])"

Counts = dict[str, Any]


class Successor:
    """The next gateway, as the old one sees it: ready, and waiting for the word to listen."""

    def __init__(self, pid: int, writer: asyncio.StreamWriter) -> None:
        """Keep the line to it."""
        self.pid = pid
        self._writer = writer

    async def take_over(self, counts: Callable[[], Counts]) -> None:
        """Let it listen, and tell it what is on its way here, whenever that changes, until it is gone."""
        told: Counts | None = None
        with suppress(OSError):
            while not self._writer.is_closing():
                if (now := counts()) != told:
                    await _send(self._writer, now)
                    told = now
                await asyncio.sleep(_TELL_SECONDS)

    def close(self) -> None:
        """Let it know that nothing is on its way here any more."""
        self._writer.close()


class Predecessor:
    """The gateway before, as the new one sees it: its sockets, and the line on which it speaks."""

    def __init__(self, line: socket.socket, sockets: Sequence[socket.socket], *, owned: bool) -> None:
        """Keep what was handed over; `owned` sockets were opened by a gateway, not by systemd."""
        self.sockets = list(sockets)
        self.owned = owned
        self._line = line
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def give_way(self) -> Counts:
        """Say that this process is ready and wait for the word; raises ConflictError when the old one serves on.

        Returns what is on its way over there.
        """
        self._reader, self._writer = await asyncio.open_connection(sock=self._line, limit=_LONGEST_LINE)
        with suppress(OSError, TimeoutError):
            await _send(self._writer, {"pid": os.getpid()})
            async with asyncio.timeout(_READY_SECONDS):
                if (counts := await _receive(self._reader)) is not None:
                    return counts
        raise ConflictError("the gateway that asked for this one serves on", "look into its log")

    async def listen(self, heard: Callable[[Counts], None]) -> None:
        """Hand on what is still on its way over there, until nothing is."""
        if self._reader is None or self._writer is None:
            return
        try:
            with suppress(OSError):
                while (counts := await _receive(self._reader)) is not None:
                    heard(counts)
        finally:
            heard({})
            self._writer.close()


def predecessor(environ: MutableMapping[str, str]) -> Predecessor | None:
    """Return the gateway that started this process to take its place, if one did."""
    found = environ.pop(VARIABLE, "")
    if not found:
        return None
    whose, *descriptors = found.split(",")
    line, *sockets = taken(map(int, descriptors))
    return Predecessor(line, sockets, owned=whose == _OWNED)


async def start_successor(sockets: Sequence[socket.socket], *, owned: bool) -> Successor:
    """Start this command once more with the sockets; raises PermanentError when it does not get ready."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        descriptors = [theirs.fileno(), *(one.fileno() for one in sockets)]
        environ = {**os.environ, VARIABLE: ",".join([_OWNED if owned else _LENT, *map(str, descriptors)])}
        environ.pop("WATCHDOG_PID", None)  # it names the old process
        argv = [sys.executable, "-SIc", _APART, *sys.orig_argv]
        starter = await asyncio.create_subprocess_exec(*argv, env=environ, pass_fds=descriptors)
    reader, writer = await asyncio.open_connection(sock=ours, limit=_LONGEST_LINE)
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_READY_SECONDS):
            await starter.wait()
            said = await _receive(reader)
            if said is not None:
                return Successor(int(said["pid"]), writer)
    writer.close()
    raise PermanentError("the new gateway did not get ready; this one serves on", "its own words stand in the log")


async def _send(writer: asyncio.StreamWriter, value: Counts) -> None:
    writer.write(json.dumps(value).encode() + b"\n")
    await writer.drain()


async def _receive(reader: asyncio.StreamReader) -> Counts | None:
    """Return the next value; None when nobody speaks any more."""
    try:
        found = json.loads(await reader.readline() or b"null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
