"""Which model servers answer: told by the requests that were sent to them and by looking now and then.

What is known here only orders the servers. None is left out, because a server that is thought to be down costs one
more try, and one that is left out by mistake costs an answer.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
import structlog

from flywheel.core.clocks import Clock

log = structlog.get_logger(__name__)

_LOOK = aiohttp.ClientTimeout(total=2.0)
_MISSES = 2  # a server that is busy may miss one look


@dataclass(slots=True)
class _Trouble:
    """Since when a server does not answer, and why."""

    since: float
    reason: str


class Healths:
    """Remembers who does not answer."""

    def __init__(self, clock: Clock) -> None:
        """Begin with everybody well."""
        self._clock = clock
        self._down: dict[str, _Trouble] = {}
        self._missed: dict[str, int] = {}

    def failed(self, origin: str, reason: str) -> None:
        """Note that a server did not answer a request."""
        if origin not in self._down:
            self._down[origin] = _Trouble(self._clock.monotonic(), reason)
            log.warning("gateway.server_lost", server=origin, reason=reason)
        self._down[origin].reason = reason

    def worked(self, origin: str) -> None:
        """Note that a server answered."""
        trouble = self._down.pop(origin, None)
        if trouble is not None:
            self._missed.pop(origin, None)
            log.info("gateway.server_returned", server=origin, after=round(self._clock.monotonic() - trouble.since, 3))

    def best_first(self, origins: Sequence[str]) -> Sequence[str]:
        """Return the same servers, those that answer before the others."""
        if not self._down or len(origins) == 1:
            return origins
        return sorted(origins, key=self._down.__contains__)

    def tell(self, origins: Sequence[str]) -> list[dict[str, object]]:
        """Return how the servers are."""
        now = self._clock.monotonic()
        return [
            {"url": origin, "answers": True} if trouble is None else
            {"url": origin, "answers": False, "seconds": round(now - trouble.since, 3), "reason": trouble.reason}
            for origin in origins
            for trouble in [self._down.get(origin)]
        ]  # fmt: skip

    async def watch(self, session: aiohttp.ClientSession, origins: Callable[[], Sequence[str]], seconds: float) -> None:
        """Look for ever: at all servers where there are several, else only whether the one is back."""
        while True:
            await asyncio.sleep(seconds)
            current = origins()
            self._forget_all_but(current)
            seen = current if len(current) > 1 else [one for one in current if one in self._down]
            try:
                await asyncio.gather(*[self.look(session, origin) for origin in seen])
            except Exception:  # the supervised edge: a surprise must not end the looking
                log.exception("gateway.look_failed")

    async def look(self, session: aiohttp.ClientSession, origin: str) -> None:
        """Ask one server whether it is well; it is down when it says so, cannot be reached or is silent twice."""
        try:
            async with session.get(f"{origin}/health", timeout=_LOOK, allow_redirects=False) as response:
                status = response.status
        except TimeoutError:
            self._miss(origin, "it is silent")
        except (aiohttp.ClientError, OSError) as error:
            self.failed(origin, str(error) or type(error).__name__)
        else:
            self._heard(origin, status)

    def _heard(self, origin: str, status: int) -> None:
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.failed(origin, f"its health is {status}")
            return
        self._missed.pop(origin, None)
        self.worked(origin)

    def _miss(self, origin: str, reason: str) -> None:
        self._missed[origin] = self._missed.get(origin, 0) + 1
        if self._missed[origin] >= _MISSES:
            self.failed(origin, reason)

    def _forget_all_but(self, origins: Sequence[str]) -> None:
        for known in (self._down, self._missed):
            for origin in set(known) - set(origins):
                del known[origin]
