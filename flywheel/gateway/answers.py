"""One answer of a model server on its connection, with what the gateway reads of aiohttp's own responses."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage

HEADER_BYTES = 65536
_PIECE = 64 * 1024


class Line(ResponseHandler):
    """One connection to a model server."""

    def expect(self, *, has_body: bool) -> None:
        """Read what comes next as a new answer."""
        self.set_response_params(
            skip_payload=not has_body,
            read_until_eof=True,
            auto_decompress=False,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
        )

    def write(self, data: bytes | memoryview) -> None:
        """Send; raises ServerDisconnectedError when nobody is there any more."""
        if self.transport is None:
            raise aiohttp.ServerDisconnectedError
        self.transport.write(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Wake whoever reads a body that has no end now: aiohttp forgets it where the framing itself was broken."""
        content = self._payload
        if exc is not None:
            _break_off(content, f"the connection broke: {exc}")  # or a body without a length would look whole
        super().connection_lost(exc)
        _break_off(content, "its answer cannot be read to the end")

    async def pour(self, body: bytes) -> None:
        """Send much, no faster than it is taken. Who reads the answer hears why that ended."""
        view = memoryview(body)
        with suppress(aiohttp.ClientError, OSError):
            for start in range(0, len(view), _PIECE):
                self.write(view[start : start + _PIECE])
                await self._drain_helper()


def _break_off(content: aiohttp.StreamReader | None, reason: str) -> None:
    if content is not None and not content.is_eof() and content.exception() is None:
        content.set_exception(aiohttp.ClientPayloadError(reason))


class Answer:
    """What a server answers: its head is here, its body is on the way."""

    __slots__ = ("_body", "_kept", "_line", "_pouring", "content", "headers", "reason", "status")

    def __init__(
        self,
        message: RawResponseMessage,
        content: aiohttp.StreamReader,
        line: Line,
        pouring: "asyncio.Task[None] | None" = None,
    ) -> None:
        """Take over the line until the answer is read; `pouring` still sends the request."""
        self.status = message.code
        self.reason = message.reason
        self.headers = message.headers
        self.content = content
        self._line: Line | None = line
        self._pouring = pouring
        self._body: bytes | None = None

    def when_read(self, keep: Callable[[], None]) -> None:
        """Call `keep` once all of the answer has come and its line can carry another one."""
        self._kept = keep
        self.content.on_eof(self._ended)

    @property
    def content_length(self) -> int | None:
        """Return how long the body is to be; None when nobody said."""
        told = self.headers.get("content-length")
        return int(told) if told is not None and told.isdecimal() else None

    @property
    def content_type(self) -> str:
        """Return what the body is, in small letters and without parameters."""
        return self.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()

    async def read(self) -> bytes:
        """Return the whole body, as often as it is asked for."""
        if self._body is None:
            try:
                self._body = await self.content.read()
            except BaseException:
                self.close()
                raise
        return self._body

    def close(self) -> None:
        """Let go of the answer; what has not come yet will never be read."""
        line, self._line = self._line, None
        if line is not None:
            self._stop_pouring()
            line.close()

    def release(self) -> None:
        """Let go of the answer, as one lets go of aiohttp's; one that was read has given its line back already."""
        self.close()

    def _ended(self) -> None:
        line, self._line = self._line, None
        if line is None:
            return
        if self._stop_pouring() or line.should_close or not line.is_connected():
            line.close()
        else:
            self._kept()

    def _stop_pouring(self) -> bool:
        """End the sending; tell whether there was more to send."""
        return self._pouring is not None and self._pouring.cancel()


#: A server's answer over either kind of connection.
Response = Answer | aiohttp.ClientResponse
