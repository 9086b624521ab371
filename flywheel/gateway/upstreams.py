"""The model servers behind the door: sends a request to one, tries the next while the client has seen nothing."""

import asyncio
import hashlib
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

import aiohttp
import structlog
from multidict import CIMultiDict
from yarl import URL

from flywheel.gateway.answers import HEADER_BYTES, Response
from flywheel.gateway.healths import Healths
from flywheel.gateway.settings import GatewaySettings
from flywheel.gateway.wires import KEPT_SECONDS, NotConnectedError, Wires

log = structlog.get_logger(__name__)

_LARGE = 512 * 1024  # aiohttp writes larger bytes at one go and warns; a file is written in pieces
_PLAIN = "http://"
_SHORT = 1024 * 1024
_TRIES_ON_LOST_CONNECTION = 2
_LOST_AT_MOST = 2  # servers that may lose one and the same request
#: What a server answers that is there and cannot work yet, or any more; 500 may be the request's own fault.
NOT_READY = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
_NEVER_SENT = (NotConnectedError, aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
_LOST = (aiohttp.ClientError, OSError, asyncio.TimeoutError)


class UnreachableError(Exception):
    """No upstream answered; the client has seen nothing yet."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request for an upstream. A repeatable one may be sent again after it was lost on the way."""

    method: str
    path: str
    headers: CIMultiDict[str]
    body: bytes
    repeatable: bool


class Upstreams:
    """Holds the connections to the model servers."""

    def __init__(self, wires: Wires, session: aiohttp.ClientSession, healths: Healths) -> None:
        """Send over `wires`, and through `session` what goes encrypted; first to those that are well."""
        self._wires = wires
        self._session = session
        self.healths = healths

    async def open(
        self, outgoing: Outgoing, origins: Sequence[str], elsewhere: Collection[int] = NOT_READY
    ) -> Response:
        """Return the first answer that any origin begins to give; raises UnreachableError when none does.

        An answer with a status of `elsewhere` is taken only where no other server has a better one.
        """
        search = _Search(outgoing, elsewhere)
        try:
            for left, origin in _counted_down(self.healths.best_first(origins)):
                response = await self._try(origin, search, left)
                if response is not None:
                    return response
                if search.is_over:
                    break
            if search.spare is not None:
                found, search.spare = search.spare, None
                return found
        finally:
            search.drop_spare()
        log.warning("gateway.upstream_failed", path=outgoing.path.partition("?")[0], reasons=search.reasons)
        raise UnreachableError("; ".join(search.reasons))

    async def _try(self, origin: str, search: "_Search", left: int) -> Response | None:
        """Return a server's answer where it is one to take; while there are others to ask, only one that has begun."""
        outgoing = search.outgoing
        try:
            response = await self._ask(origin, outgoing)
            if left and outgoing.repeatable:
                await _begin(response)
        except _NEVER_SENT as error:
            search.reasons.append(_reason(origin, error))
            self.healths.failed(origin, _why(error))
            return None
        except _LOST as error:
            search.reasons.append(_reason(origin, error))
            search.lost += 1
            self.healths.failed(origin, _why(error))
            return None
        if response.status in NOT_READY:
            self.healths.failed(origin, f"it answers {response.status}")
        else:
            self.healths.worked(origin)
        return search.judge(response, left)

    async def _ask(self, origin: str, outgoing: Outgoing) -> Response:
        """Send, and once more when a kept connection was closed under the request."""
        for left in reversed(range(_TRIES_ON_LOST_CONNECTION)):
            try:
                return await self._send(origin, outgoing, fresh=left < _TRIES_ON_LOST_CONNECTION - 1)
            except (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError):
                if not (left and outgoing.repeatable):
                    raise
            except aiohttp.ClientOSError as error:
                if isinstance(error, _NEVER_SENT) or not (left and outgoing.repeatable):
                    raise
        raise AssertionError  # the last try has returned or raised

    async def _send(self, origin: str, outgoing: Outgoing, *, fresh: bool) -> Response:
        if origin.startswith(_PLAIN) and "@" not in origin:
            method, path = outgoing.method, outgoing.path
            return await self._wires.send(origin, method, path, outgoing.headers, outgoing.body, fresh=fresh)
        return await self._session.request(
            outgoing.method,
            URL(origin + outgoing.path, encoded=True),
            headers=outgoing.headers,
            data=_payload(outgoing.body),
            allow_redirects=False,
        )


@dataclass(slots=True)
class _Search:
    """The search for an answer: why servers gave none, and the answer to take where nobody has a better one."""

    outgoing: Outgoing
    elsewhere: Collection[int]
    reasons: list[str] = field(default_factory=list)
    spare: Response | None = None
    lost: int = 0

    @property
    def is_over(self) -> bool:
        """Tell whether no other server may be asked: what kills servers must not go round them all."""
        return self.lost >= (_LOST_AT_MOST if self.outgoing.repeatable else 1)

    def judge(self, response: Response, left: int) -> Response | None:
        """Return the response when it is one to take; else keep the first of them."""
        if response.status not in self.elsewhere or not self.outgoing.repeatable:
            return response
        if self.spare is None and not left:
            return response
        if self.spare is None:
            self.spare = response
        else:
            response.release()
        return None

    def drop_spare(self) -> None:
        """Let go of an answer that is not needed any more."""
        if self.spare is not None:
            self.spare.close()
            self.spare = None


class _Begun:
    """A response's content whose first bytes were read already."""

    def __init__(self, first: bytes, rest: aiohttp.StreamReader) -> None:
        self._first = first
        self._rest = rest

    async def readany(self) -> bytes:
        """Return what is there next; nothing at the end."""
        if self._first:
            first, self._first = self._first, b""
            return first
        return await self._rest.readany()

    async def read(self) -> bytes:
        """Return all that is left."""
        first, self._first = self._first, b""
        return first + await self._rest.read()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rest, name)


async def _begin(response: Response) -> None:
    """Wait until a short answer is whole and a long one has begun: no client has seen any of it yet.

    A server that dies before has answered nothing, though it may have sent its headers long ago.
    """
    try:
        if response.content_length is not None and response.content_length <= _SHORT:
            await response.read()
        elif first := await response.content.readany():
            response.content = cast("aiohttp.StreamReader", _Begun(first, response.content))
    except BaseException:
        response.close()
        raise


def _counted_down(origins: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield the origins, each with how many come after it."""
    return zip(reversed(range(len(origins))), origins, strict=True)


def client_session(settings: GatewaySettings) -> aiohttp.ClientSession:
    """Return a session that adds nothing of its own to a request and changes nothing in a response."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_SECONDS),
        # A generation takes as long as it takes; only the connection has a time limit.
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout),
        cookie_jar=aiohttp.DummyCookieJar(),  # one client's cookies are not the next one's
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        max_line_size=HEADER_BYTES,
        max_field_size=HEADER_BYTES,
    )


def in_order(origins: Sequence[str], session: str) -> Sequence[str]:
    """Return the origins beginning with the session's own: a conversation stays where its prefix is cached.

    Every session has an order of its own, so that those of a server that is away are spread over all others.
    """
    if len(origins) == 1:
        return origins
    key = session.encode("utf-8", "surrogatepass")
    return sorted(origins, key=lambda origin: hashlib.blake2b(key, digest_size=8, key=_salt(origin)).digest())


def _salt(origin: str) -> bytes:
    return hashlib.blake2b(origin.encode(), digest_size=16).digest()


def _payload(body: bytes) -> bytes | io.BytesIO | None:
    if not body:
        return None
    return io.BytesIO(body) if len(body) > _LARGE else body


def _reason(origin: str, error: BaseException) -> str:
    return f"{origin}: {_why(error)}"


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__
