"""The model servers behind the door: sends a request to one, tries the next while the client has seen nothing."""

import asyncio
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import structlog
from multidict import CIMultiDict
from yarl import URL

from flywheel.gateway.settings import GatewaySettings

log = structlog.get_logger(__name__)

# Servers close idle connections after 5 s (uvicorn's default); ours go first, so that no request meets a closing one.
_KEEPALIVE_SECONDS = 4.0
_LARGE = 512 * 1024  # aiohttp writes larger bytes at one go and warns; a file is written in pieces
_HEADER_BYTES = 65536
_TRIES_ON_LOST_CONNECTION = 2
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
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

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """Send through `session`."""
        self._session = session

    async def open(self, outgoing: Outgoing, origins: Sequence[str]) -> aiohttp.ClientResponse:
        """Return the first answer that any origin begins to give; raises UnreachableError when none does."""
        reasons = []
        for origin in origins:
            try:
                return await self._ask(origin, outgoing)
            except _NEVER_SENT as error:
                reasons.append(_reason(origin, error))
            except _LOST as error:
                reasons.append(_reason(origin, error))
                if not outgoing.repeatable:
                    break
        log.warning("gateway.upstream_failed", path=outgoing.path.partition("?")[0], reasons=reasons)
        raise UnreachableError("; ".join(reasons))

    async def _ask(self, origin: str, outgoing: Outgoing) -> aiohttp.ClientResponse:
        """Send, and once more when a kept connection was closed under the request."""
        for left in reversed(range(_TRIES_ON_LOST_CONNECTION)):
            try:
                return await self._send(origin, outgoing)
            except (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError):
                if not (left and outgoing.repeatable):
                    raise
            except aiohttp.ClientOSError as error:
                if isinstance(error, _NEVER_SENT) or not (left and outgoing.repeatable):
                    raise
        raise AssertionError  # the last try has returned or raised

    async def _send(self, origin: str, outgoing: Outgoing) -> aiohttp.ClientResponse:
        return await self._session.request(
            outgoing.method,
            URL(origin + outgoing.path, encoded=True),
            headers=outgoing.headers,
            data=_payload(outgoing.body),
            allow_redirects=False,
        )


def client_session(settings: GatewaySettings) -> aiohttp.ClientSession:
    """Return a session that adds nothing of its own to a request and changes nothing in a response."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_SECONDS),
        # A generation takes as long as it takes; only the connection has a time limit.
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout),
        cookie_jar=aiohttp.DummyCookieJar(),  # one client's cookies are not the next one's
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        max_line_size=_HEADER_BYTES,
        max_field_size=_HEADER_BYTES,
    )


def in_order(origins: Sequence[str], session: str) -> Sequence[str]:
    """Return the origins beginning with the session's own: a conversation stays where its prefix is cached."""
    if len(origins) == 1:
        return origins
    digest = hashlib.blake2b(session.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    first = int.from_bytes(digest, "big") % len(origins)
    return [*origins[first:], *origins[:first]]


def _payload(body: bytes) -> bytes | io.BytesIO | None:
    if not body:
        return None
    return io.BytesIO(body) if len(body) > _LARGE else body


def _reason(origin: str, error: BaseException) -> str:
    return f"{origin}: {error or type(error).__name__}"
