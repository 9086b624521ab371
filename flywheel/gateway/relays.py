"""Passes an upstream's response to the client, byte for byte, and never lets a broken one look whole."""

import socket
import struct
from collections.abc import Mapping

import aiohttp
import structlog
from aiohttp import web

from flywheel.core.clocks import Clock
from flywheel.gateway.answers import Response
from flywheel.gateway.calls import Receipt
from flywheel.gateway.headers import response_headers

log = structlog.get_logger(__name__)

_HELD_WHOLE = 1024 * 1024  # shorter answers are read before the client sees any of it: one write, and no half ones
_RESET = struct.pack("ii", 1, 0)  # linger for no time: closing sends a reset instead of an end
_NO_BODY = frozenset({204, 304})


class UpstreamLostError(Exception):
    """The upstream went away before the client had seen a byte."""


class Relay:
    """Copies responses."""

    def __init__(self, clock: Clock) -> None:
        """Tell the time by `clock`."""
        self._clock = clock

    async def copy(
        self, request: web.Request, upstream: Response, added: Mapping[str, str], receipt: Receipt
    ) -> web.StreamResponse:
        """Copy one response and close the upstream however it ends.

        Raises UpstreamLostError only while the client has seen nothing; later the client's connection is aborted.
        """
        receipt.status = upstream.status
        try:
            if _is_short(request, upstream):
                return await self._copy_whole(request, upstream, added, receipt)
            return await self._copy_stream(request, upstream, added, receipt)
        finally:
            upstream.close()

    async def _copy_whole(
        self, request: web.Request, upstream: Response, added: Mapping[str, str], receipt: Receipt
    ) -> web.StreamResponse:
        try:
            body = await upstream.read()
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamLostError(str(error) or type(error).__name__) from error
        headers = response_headers(upstream.headers, added)
        headers.popall("content-length", None)
        response = web.Response(status=upstream.status, reason=upstream.reason, body=body, headers=headers)
        receipt.take(body, self._clock.monotonic())
        await response.prepare(request)
        await response.write_eof()
        receipt.whole = True
        return response

    async def _copy_stream(
        self, request: web.Request, upstream: Response, added: Mapping[str, str], receipt: Receipt
    ) -> web.StreamResponse:
        headers = response_headers(upstream.headers, added)
        response = web.StreamResponse(status=upstream.status, reason=upstream.reason, headers=headers)
        await response.prepare(request)
        try:
            while chunk := await upstream.content.readany():
                receipt.take(chunk, self._clock.monotonic())
                await response.write(chunk)
            await response.write_eof()
            receipt.whole = True
        except (aiohttp.ClientError, OSError) as error:
            log.warning("gateway.upstream_failed", path=request.path, reasons=[str(error) or type(error).__name__])
        finally:
            if not receipt.whole:
                abort(request, response)
        return response


def _is_short(request: web.Request, upstream: Response) -> bool:
    if request.method == "HEAD" or upstream.status in _NO_BODY:
        return False
    length = upstream.content_length
    return length is not None and length <= _HELD_WHOLE and upstream.content_type != "text/event-stream"


def abort(request: web.Request, response: web.StreamResponse) -> None:
    """End the connection in a way that no client takes for the response's end."""
    transport = request.transport
    if transport is None:
        return
    if response.headers.get("transfer-encoding") == "chunked" or "content-length" in response.headers:
        transport.close()  # what was written is still delivered; the missing end tells
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()  # where no framing marks the end, only a reset tells
