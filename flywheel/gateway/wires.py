"""Connections to model servers that speak plain HTTP: kept for the next request, and nothing done twice.

The framing is aiohttp's own, parser and flow control included; what its session does around them for every request
(cookies, redirects, tracing, timers) nobody asks for here.
"""

import asyncio
import socket
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp
from aiohappyeyeballs import start_connection
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from flywheel.gateway.answers import Answer, Line

# Servers close idle connections after 5 s (uvicorn's default); ours go first, so that no request meets a closing one.
KEPT_SECONDS = 4.0
_LARGE = 256 * 1024  # what is larger is written in pieces, no faster than the server takes it
_ATTEMPT_SECONDS = 0.25  # of a name's addresses the next is tried meanwhile
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


class NotConnectedError(aiohttp.ClientError):
    """The server cannot be reached: it has seen nothing of the request."""


class GarbledError(aiohttp.ClientError):
    """What the server sent is no answer."""


class _Place(NamedTuple):
    """Where an origin is, and what it is called in a request."""

    host: str
    port: int
    name: str


class Wires:
    """Holds the connections."""

    def __init__(self, connect_timeout: float) -> None:
        """Begin without any; a new one is there after `connect_timeout` seconds, or the server is not."""
        self._connect_timeout = connect_timeout
        self._places: dict[str, _Place] = {}
        self._idle: dict[str, list[tuple[Line, float]]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    async def send(
        self, origin: str, method: str, path: str, headers: Mapping[str, str], body: bytes, *, fresh: bool
    ) -> Answer:
        """Return the answer once its headers are there, on a connection that was kept unless it must be `fresh`.

        Raises NotConnectedError when nothing was sent, another ClientError when no answer came.
        """
        place = self._place(origin)
        data = head(method, path, place.name, headers, None if not body and method in _BODILESS else len(body))
        line = None if fresh else self._take(origin)
        if line is None:
            line = await self._connect(place)
        try:
            line.expect(has_body=method != "HEAD")
            return await self._ask(origin, line, data, body)
        except HttpProcessingError as error:
            line.close()
            raise GarbledError(f"its answer cannot be read: {error.message.splitlines()[0]}") from error
        except BaseException:
            line.close()
            raise

    def close(self) -> None:
        """Close what is kept."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for idle in self._idle.values():
            for line, _ in idle:
                line.close()
        self._idle.clear()

    async def _ask(self, origin: str, line: Line, data: bytes, body: bytes) -> Answer:
        pouring: asyncio.Task[None] | None = None
        if len(body) <= _LARGE:
            line.write(data + body)
        else:
            line.write(data)
            pouring = asyncio.create_task(line.pour(body))
        try:
            message, content = await line.read()
            while message.code < 200 and message.code != 101:  # noqa: PLR2004 - a server may say that it is at work
                message, content = await line.read()
        except BaseException:
            if pouring is not None:
                pouring.cancel()
            raise
        answer = Answer(message, content, line, pouring)
        answer.when_read(lambda: self._keep(origin, line))
        return answer

    def _take(self, origin: str) -> Line | None:
        idle = self._idle.get(origin)
        if not idle:
            return None
        oldest = asyncio.get_running_loop().time() - KEPT_SECONDS
        while idle:
            line, since = idle.pop()
            if since >= oldest and line.is_connected() and not line.should_close:
                return line
            line.close()
        return None

    def _keep(self, origin: str, line: Line) -> None:
        loop = asyncio.get_running_loop()
        self._idle.setdefault(origin, []).append((line, loop.time()))
        if self._sweep is None:
            self._sweep = loop.call_later(KEPT_SECONDS, self._sweep_out)

    def _sweep_out(self) -> None:
        """Close what was not needed for long, and look again as long as there is something."""
        loop, self._sweep = asyncio.get_running_loop(), None
        oldest = loop.time() - KEPT_SECONDS
        for origin, idle in list(self._idle.items()):
            for line, since in idle:
                if since < oldest:
                    line.close()
            self._idle[origin] = [one for one in idle if one[0].is_connected()]
            if not self._idle[origin]:
                del self._idle[origin]
        if self._idle:
            self._sweep = loop.call_later(KEPT_SECONDS / 4, self._sweep_out)

    def _place(self, origin: str) -> _Place:
        place = self._places.get(origin)
        if place is None:
            try:
                url = URL(origin)
            except ValueError as error:
                raise NotConnectedError(f"{origin} is no address: {error}") from error
            place = _Place(url.raw_host or "", url.port or 80, url.host_port_subcomponent or "")
            self._places[origin] = place
        return place

    async def _connect(self, place: _Place) -> Line:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                reached = await _reach(loop, place)
                try:
                    _, line = await loop.create_connection(lambda: Line(loop), sock=reached)
                except BaseException:
                    reached.close()
                    raise
        except TimeoutError as error:
            raise NotConnectedError(f"cannot connect to {place.name}: no answer") from error
        except (OSError, UnicodeError) as error:
            raise NotConnectedError(f"cannot connect to {place.name}: {error}") from error
        return line


async def _reach(loop: asyncio.AbstractEventLoop, place: _Place) -> socket.socket:
    """Return a connection to the first of a place's addresses that answers."""
    found = await loop.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    return await start_connection(found, happy_eyeballs_delay=_ATTEMPT_SECONDS, interleave=1, loop=loop)


def head(method: str, path: str, host: str, headers: Mapping[str, str], length: int | None) -> bytes:
    """Return a request's head; raises ValueError when something in it would be a line of its own."""
    lines = [f"{method} {path} HTTP/1.1\r\nhost: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if length is not None:
        lines.append(f"content-length: {length}")
    text = "\r\n".join(lines)
    breaks = len(lines)
    if text.count("\n") != breaks or text.count("\r") != breaks or "\0" in text:
        msg = "a header holds the end of a line"
        raise ValueError(msg)
    return (text + "\r\n\r\n").encode("utf-8", "surrogateescape")
