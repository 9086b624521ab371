"""Calls that are made for comparison only: another model is asked the same, after the agent has its answer.

Nobody waits for them and nobody sees them. They are few at a time, and when there is much to do they are left out and
counted. What they answer is a row of the capture: its arm is `shadow`, `mirrors` the call it repeats.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp
import structlog

from flywheel.core.routing import SHADOW, Mirror
from flywheel.gateway.answers import Response
from flywheel.gateway.arms import point
from flywheel.gateway.calls import Exchange, Receipt, new_id
from flywheel.gateway.upstreams import Outgoing, UnreachableError, in_order

if TYPE_CHECKING:
    from flywheel.gateway.stations import Station

log = structlog.get_logger(__name__)

_LONGEST_SECONDS = 600.0
_LARGEST = 4 * 1024 * 1024  # to rewrite a larger one would hold up those who wait
_SALT = "mirror"

Asking = Callable[[str], Outgoing]


class Mirrors:
    """Holds the calls for comparison that are on their way."""

    def __init__(self) -> None:
        """Begin with none."""
        self.asked = 0
        self.dropped = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def consider(self, station: "Station", exchange: Exchange, asking: Asking) -> None:
        """Repeat a call that has just ended with another model, when its alias wants that and there is room."""
        try:
            self._consider(station, exchange, asking)
        except Exception:  # the supervised edge: the agent's own call must not end with a surprise of this one
            log.exception("gateway.mirror_failed")

    def _consider(self, station: "Station", exchange: Exchange, asking: Asking) -> None:
        mirror = mirror_of(station, exchange)
        if mirror is None:
            return
        if not self._has_room(station, exchange):
            self.dropped += 1
            return
        outgoing = replace(asking(mirror.model), repeatable=False)  # lost is lost: it is not worth a second try
        task = asyncio.create_task(self._run(station, exchange, mirror, outgoing))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up those that are on their way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.dropped += sum(task.cancelled() for task in tasks)

    def tell(self) -> dict[str, int]:
        """Return how many there are, were, and were left out."""
        return {"on_their_way": len(self._tasks), "asked": self.asked, "dropped": self.dropped}

    def _has_room(self, station: "Station", exchange: Exchange) -> bool:
        settings = station.settings
        return (
            len(self._tasks) < settings.mirrors_at_once
            and station.in_flight.total <= settings.mirrors_below
            and len(exchange.raw) <= _LARGEST
            and not station.draining
        )

    async def _run(self, station: "Station", exchange: Exchange, mirror: Mirror, outgoing: Outgoing) -> None:
        try:
            await self._ask(station, exchange, mirror, outgoing)
        except Exception:  # the supervised edge: nobody waits for this task
            log.exception("gateway.mirror_failed", model=mirror.model)

    async def _ask(self, station: "Station", exchange: Exchange, mirror: Mirror, outgoing: Outgoing) -> None:
        # From the routing's reading to the count of requests in flight nothing waits, as with the agent's own calls.
        routing = station.routes.current
        alias = routing.aliases.get(exchange.alias or "")
        if routing.hold is not None or alias is None or alias.mirror != mirror:
            self.dropped += 1
            return
        self.asked += 1
        shadow = shadow_of(exchange, mirror, station, outgoing.body)
        origins = in_order(routing.upstreams, exchange.session.key)
        with station.in_flight.asking(mirror.model), station.holds.at_the_servers(None):
            try:
                async with asyncio.timeout(_LONGEST_SECONDS):
                    response = await station.upstreams.open(outgoing, origins)
                    await _read(response, shadow.receipt, station.clock.monotonic)
            except (UnreachableError, aiohttp.ClientError, OSError) as error:  # a timeout is an OSError
                log.info("gateway.mirror_failed", model=mirror.model, reason=str(error) or type(error).__name__)
        if station.capture is not None:
            station.capture.offer(shadow.row(station.clock.monotonic()))


def mirror_of(station: "Station", exchange: Exchange) -> Mirror | None:
    """Return who is to be asked the same: only what the active release answered well, and is kept, is compared."""
    routing = station.routes.current
    alias = routing.aliases.get(exchange.alias) if exchange.alias else None
    if alias is None or alias.mirror is None or station.capture is None or routing.hold is not None:
        return None
    receipt, mirror = exchange.receipt, alias.mirror
    if exchange.arm != "active" or exchange.fallback or not exchange.captured or mirror.model == exchange.model:
        return None
    if receipt.status != HTTPStatus.OK or not receipt.complete:
        return None
    is_drawn = point(exchange.alias or "", f"{_SALT} {mirror.model}", exchange.session.key) < mirror.share
    return mirror if is_drawn else None


def shadow_of(exchange: Exchange, mirror: Mirror, station: "Station", asked: bytes) -> Exchange:
    """Return the call for comparison as one of its own: what the model server was asked, and what that answers."""
    return replace(
        exchange,
        at=station.clock.now(),
        began=station.clock.monotonic(),
        raw=asked,
        model=mirror.model,
        arm=SHADOW,
        routing_version=station.routes.current.version,
        receipt=Receipt(keep=station.settings.body_limit),
        mirrors=exchange.id,
        id=new_id(),
    )


async def _read(response: Response, receipt: Receipt, now: Callable[[], float]) -> None:
    receipt.status = response.status
    try:
        while chunk := await response.content.readany():
            receipt.take(chunk, now())
        receipt.whole = True
    finally:
        response.close()
