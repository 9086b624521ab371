"""Calls that wait while the model servers rest, and those that are on their way to them.

A call that comes while the routing holds calls waits here until the hold is lifted; after the hold's limit it goes to
the fallback, or, where there is none (or it failed), it waits on and counts as overdue: the daemon reads that and gives
the GPU back. A call is never refused because of a hold.
"""

import asyncio
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from http import HTTPStatus

from flywheel.core.clocks import Clock
from flywheel.core.routing import Fallback, Hold
from flywheel.gateway.routes import RoutingTable

_ITS_OWN_TROUBLE = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND,
                              HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})  # fmt: skip
_LONGEST_WAIT = 3600.0  # a clock that was set must not keep a call for ever: it looks again


@dataclass(slots=True, eq=False)
class Ticket:
    """One call's claim to an answer: since when it waits, and whether the fallback failed it."""

    arrived: float
    held: float = 0.0
    overdue: bool = False
    refused: bool = False


class _There:
    """A call's stay at the servers; one for all calls, as it holds nothing of them."""

    def __init__(self, holds: "Holds") -> None:
        self._holds = holds

    def __enter__(self) -> None:
        self._holds.go_there()

    def __exit__(self, *error: object) -> None:
        self._holds.come_back()


class Holds:
    """Knows who waits, who is overdue, and how many calls are at the servers."""

    def __init__(self, routes: RoutingTable, clock: Clock) -> None:
        """Follow this table's holds."""
        self._routes = routes
        self._clock = clock
        self._waiting: list[Ticket] = []
        self._last_call = clock.monotonic()
        self._there = _There(self)
        self.at_servers = 0
        self.fallbacks = 0
        self.elsewhere: dict[str, int] = {}  # at the gateway before, which is about to end

    def ticket(self) -> Ticket:
        """Take note of a call that has just come."""
        self._last_call = self._clock.monotonic()
        return Ticket(self._last_call)

    async def wait(self, ticket: Ticket) -> Fallback | None:
        """Return when the call may go: to the servers (None), or to the fallback instead.

        Between this answer and `at_the_servers` nothing may wait, or the daemon would not see the call.
        """
        if self._hold() is None:
            return None
        self._waiting.append(ticket)
        try:
            while (hold := self._hold()) is not None:
                left = self._left(ticket, hold)
                ticket.overdue = left <= 0
                if ticket.overdue and hold.fallback is not None and not ticket.refused:
                    return hold.fallback
                await self._news(_LONGEST_WAIT if ticket.overdue else left)
            return None
        finally:
            self._waiting.remove(ticket)
            ticket.overdue = False
            ticket.held = self._clock.monotonic() - ticket.arrived

    def at_the_servers(self, fallback: Fallback | None) -> AbstractContextManager[None]:
        """Count one call at the servers until the block ends; one at the fallback is not in their way."""
        if fallback is None:
            return self._there
        self.fallbacks += 1
        return nullcontext()

    def go_there(self) -> None:
        """Count one call at the servers, until it came back."""
        self.at_servers += 1

    def come_back(self) -> None:
        """Count one call less."""
        self.at_servers -= 1
        self._last_call = self._clock.monotonic()

    def tell(self) -> dict[str, object]:
        """Return what the daemon asks about."""
        now = self._clock.monotonic()
        there = {
            "at_servers": self.at_servers,
            "held": len(self._waiting),
            "overdue": sum(ticket.overdue for ticket in self._waiting),
            "fallbacks": self.fallbacks,
        }
        told = {name: count + self.elsewhere.get(name, 0) for name, count in there.items()}
        quiet = 0.0 if told["at_servers"] or told["held"] else now - self._last_call
        return {**told, "quiet_seconds": round(quiet, 3)}

    def _hold(self) -> Hold | None:
        return self._routes.current.hold

    def _left(self, ticket: Ticket, hold: Hold) -> float:
        """Return how long the call may still be held; nothing when too many wait before it."""
        if self._waiting.index(ticket) >= hold.calls:
            return 0.0
        return hold.seconds - (self._clock.monotonic() - ticket.arrived)

    async def _news(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.001)):
                await self._routes.news()


def is_no_answer(status: int) -> bool:
    """Tell whether a fallback's status is its own trouble, which is not the agent's; what is wrong with a call is."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _ITS_OWN_TROUBLE
