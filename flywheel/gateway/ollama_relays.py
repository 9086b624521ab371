"""Passes an upstream's answer on in Ollama's dialect; a broken one never looks whole."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import aiohttp
import structlog
from aiohttp import web
from multidict import CIMultiDict

from flywheel.gateway.asks import Reply
from flywheel.gateway.headers import response_headers
from flywheel.gateway.ollama_answers import (
    GONE,
    Form,
    Stream,
    Times,
    Told,
    UnreadableAnswerError,
    end,
    error_of,
    line,
    read_object,
    whole_answer,
)
from flywheel.gateway.relays import UpstreamLostError, abort
from flywheel.gateway.stations import Station

log = structlog.get_logger(__name__)

_JSON, _LINES = "application/json; charset=utf-8", "application/x-ndjson"
_LOST = (aiohttp.ClientError, OSError)

Tell = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def ollama_error(status: int, message: str) -> web.Response:
    """Return an error in Ollama's shape."""
    return web.Response(status=status, body=line({"error": message}).strip(), headers={"content-type": _JSON})


async def pass_whole(station: Station, reply: Reply, tell: Tell) -> web.StreamResponse:
    """Answer with what `tell` makes of the upstream's object; an error keeps its status and its sentence."""
    upstream, receipt = reply.upstream, reply.exchange.receipt
    try:
        data = await upstream.read()
    except _LOST as error:
        raise UpstreamLostError(str(error) or type(error).__name__) from error
    finally:
        upstream.close()
    status, told = _told(upstream.status, data, tell)
    receipt.status = status
    body = line(told).strip()
    response = web.Response(status=status, body=body, headers=_headers(reply, _JSON))
    receipt.take(body, station.clock.monotonic())
    await response.prepare(reply.request)
    await response.write_eof()
    receipt.whole = True
    return response


async def pass_answer(station: Station, reply: Reply, form: Form) -> web.StreamResponse:
    """Answer whole with a whole answer."""

    def tell(answer: Mapping[str, Any]) -> Mapping[str, Any]:
        return whole_answer(form, answer, station.clock.now(), _times(station, reply, first=None))

    return await pass_whole(station, reply, tell)


async def pass_stream(station: Station, reply: Reply, form: Form) -> web.StreamResponse:
    """Answer line by line, as the upstream's events come; what it refuses or answers at once is passed on whole."""
    upstream = reply.upstream
    if upstream.status != HTTPStatus.OK or upstream.content_type != "text/event-stream":
        return await pass_answer(station, reply, form)
    reply.exchange.receipt.status = upstream.status
    response = web.StreamResponse(status=upstream.status, headers=_headers(reply, _LINES))
    try:
        await response.prepare(reply.request)
        await _Lines(station, reply, form, response).pass_on()
    finally:
        upstream.close()
        if not reply.exchange.receipt.whole:
            abort(reply.request, response)
    return response


class _Lines:
    """One stream on its way."""

    def __init__(self, station: Station, reply: Reply, form: Form, response: web.StreamResponse) -> None:
        self._station = station
        self._reply = reply
        self._form = form
        self._response = response
        self._stream = Stream()

    async def pass_on(self) -> None:
        """Pass everything on; what went wrong is the last line, and the connection is aborted after it."""
        try:
            while chunk := await self._reply.upstream.content.readany():
                await self._tell(chunk)
            await self._tell(b"\n")  # the last line may lack its end
            await self._end()
        except (UnreadableAnswerError, *_LOST) as error:
            reason = str(error) or type(error).__name__
            log.warning("gateway.upstream_failed", path=self._reply.request.path, reasons=[reason])
            with suppress(*_LOST):
                await self._write([{"error": reason if isinstance(error, UnreadableAnswerError) else GONE}])

    async def _tell(self, chunk: bytes) -> None:
        pieces: list[dict[str, Any]] = []
        try:
            for told in self._stream.feed(chunk):
                pieces.append(self._form.piece(self._station.clock.now(), told))  # noqa: PERF401 - kept at an error
        finally:
            await self._write(pieces)

    async def _write(self, pieces: list[dict[str, Any]]) -> None:
        if pieces:
            data = b"".join(map(line, pieces))
            self._reply.exchange.receipt.take(data, self._station.clock.monotonic())
            await self._response.write(data)

    async def _end(self) -> None:
        """Write the last line, with the numbers, and before it the tool calls, which are whole only now."""
        station, receipt, exchange = self._station, self._reply.exchange.receipt, self._reply.exchange
        now, made = station.clock.now(), self._stream.last()
        first = None if receipt.first_at is None else receipt.first_at - exchange.began
        pieces = [self._form.piece(now, made)] if made.calls or made.text else []
        ending = end(self._stream.reason, self._stream.usage, _times(station, self._reply, first))
        await self._write([*pieces, self._form.piece(now, Told()) | ending])
        await self._response.write_eof()
        receipt.whole = True


def _told(status: int, data: bytes, tell: Tell) -> tuple[int, Mapping[str, Any]]:
    if status != HTTPStatus.OK:
        return status, {"error": error_of(data)}
    try:
        return HTTPStatus.OK, tell(read_object(data))
    except UnreadableAnswerError as error:
        return HTTPStatus.BAD_GATEWAY, {"error": str(error)}


def _times(station: Station, reply: Reply, first: float | None) -> Times:
    return Times(reply.held, first, station.clock.monotonic() - reply.exchange.began)


def _headers(reply: Reply, content_type: str) -> CIMultiDict[str]:
    headers = response_headers(reply.upstream.headers, reply.added)
    for name in ("content-length", "content-type", "content-encoding"):
        headers.popall(name, None)
    headers["content-type"] = content_type
    return headers
