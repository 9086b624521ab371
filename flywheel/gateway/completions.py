"""The two completion endpoints: alias to arm, out to the model, back to the agent, into the capture."""

from collections.abc import Sequence
from datetime import datetime

import aiohttp
from aiohttp import web

from flywheel.core.routing import Fallback
from flywheel.gateway.arms import choose
from flywheel.gateway.bodies import Body, read_body
from flywheel.gateway.calls import Exchange, Receipt
from flywheel.gateway.headers import header_text, request_headers
from flywheel.gateway.holds import Ticket, is_no_answer
from flywheel.gateway.refusals import refusal
from flywheel.gateway.relays import UpstreamLostError
from flywheel.gateway.sessions import session_of
from flywheel.gateway.stations import STATION, Station
from flywheel.gateway.upstreams import Outgoing, UnreachableError, in_order

_NOT_FOUND = 404


async def answer_completion(request: web.Request) -> web.StreamResponse:
    """Answer one call, once the servers may be asked; whatever becomes of it is captured."""
    station = request.app[STATION]
    at, ticket = station.clock.now(), station.holds.ticket()
    body = read_body(await request.read())
    while True:
        fallback = await station.holds.wait(ticket)
        # From the routing's reading to the count of requests in flight nothing waits, so that the daemon never sees a
        # model without requests while one is about to go there.
        trip = _Trip(station, request, body, ticket)
        with station.holds.at_the_servers(fallback):
            response = await trip.go(at, fallback)
        if response is not None:
            return response
        ticket.refused = True  # the fallback has no answer: the call waits for the servers after all


class _Trip:
    """One call's way through the gateway, under the routing that was in force when it set out."""

    exchange: Exchange

    def __init__(self, station: Station, request: web.Request, body: Body, ticket: Ticket) -> None:
        self._station = station
        self._request = request
        self._body = body
        self._ticket = ticket
        self._routing = station.routes.current

    async def go(self, at: datetime, fallback: Fallback | None) -> web.StreamResponse | None:
        """Return the servers' answer, or the fallback's: None where that has none."""
        self.begin(at)
        if fallback is None:
            try:
                return await self.run()
            finally:
                self.capture()
        response = await self.stand_in(fallback)
        if response is not None:
            self.capture()
        return response

    def begin(self, at: datetime) -> None:
        """Find the session and draw the arm. How long the call was held is not the model's time."""
        body, headers, routing = self._body, self._request.headers, self._routing
        session = session_of(headers, body.fields, body.raw)
        alias = routing.aliases.get(body.model) if body.model else None
        arm = choose(body.model, alias, session.key) if alias and body.model else None
        self.exchange = Exchange(
            at=at,
            began=self._station.clock.monotonic(),
            raw=body.raw,
            alias=body.model if arm else None,
            model=arm.model if arm else body.model,
            arm=arm.role if arm else None,
            routing_version=routing.version,
            session=session,
            task=headers.get("x-task-id"),
            streamed=body.streamed,
            receipt=Receipt(keep=self._station.settings.body_limit),
        )

    async def run(self) -> web.StreamResponse:
        """Return the answer of the arm, else of the base model, else say that there is none."""
        try:
            while (response := await self._answer()) is None:
                self.exchange.fall_back(self._routing.base_model)
        except (UnreachableError, UpstreamLostError) as error:
            return self._refuse(f"no model server answered: {error}")
        return response

    async def stand_in(self, fallback: Fallback) -> web.StreamResponse | None:
        """Return the fallback's answer; None when it has none, and then the client has seen nothing."""
        self.exchange.stand_in(fallback.model)
        try:
            upstream = await self._open((fallback.url,))
            if is_no_answer(upstream.status):
                upstream.release()
                return None
            return await self._station.relay.copy(self._request, upstream, self._added(), self.exchange.receipt)
        except (UnreachableError, UpstreamLostError):
            return None

    def capture(self) -> None:
        """Hand what is known of the call to the capture."""
        if self._station.capture is not None:
            self._station.capture.offer(self.exchange.row(self._station.clock.monotonic()))

    async def _answer(self) -> web.StreamResponse | None:
        """Pass the answer on; None when the adapter is not there and the base model can stand in."""
        exchange = self.exchange
        with self._station.in_flight.asking(exchange.model):
            upstream = await self._open(self._routing.upstreams)
            if upstream.status == _NOT_FOUND and self._can_fall_back():
                upstream.release()
                return None
            return await self._station.relay.copy(self._request, upstream, self._added(), exchange.receipt)

    async def _open(self, origins: Sequence[str]) -> aiohttp.ClientResponse:
        model = self.exchange.model
        outgoing = Outgoing(
            method=self._request.method,
            path=self._request.rel_url.raw_path_qs,
            headers=request_headers(self._request.headers, plain=True),
            body=self._body.raw if model is None else self._body.asking(model),
            repeatable=True,
        )
        return await self._station.upstreams.open(outgoing, in_order(origins, self.exchange.session.key))

    def _can_fall_back(self) -> bool:
        exchange = self.exchange
        return bool(exchange.alias) and not exchange.fallback and exchange.model != self._routing.base_model

    def _added(self) -> dict[str, str]:
        """Return the headers that say what happened, for the agent's log."""
        exchange = self.exchange
        added = {"x-flywheel-call": exchange.id, "x-flywheel-model": header_text(exchange.model or "")}
        if exchange.arm:
            added["x-flywheel-arm"] = exchange.arm
        if self._ticket.held:
            added["x-flywheel-held"] = f"{self._ticket.held:.3f}"
        return added

    def _refuse(self, message: str) -> web.StreamResponse:
        response = refusal(502, "upstream_unreachable", message)
        response.headers.update(self._added())
        receipt = self.exchange.receipt
        receipt.status = response.status
        receipt.take(response.body if isinstance(response.body, bytes) else b"", self._station.clock.monotonic())
        return response
