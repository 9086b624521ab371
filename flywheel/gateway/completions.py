"""Calls for a model's work: alias to arm, out to the model, back to the agent, into the capture."""

from collections.abc import Callable, Sequence
from datetime import datetime
from http import HTTPStatus

from aiohttp import web

from flywheel.core.routing import Fallback
from flywheel.core.traces import Span
from flywheel.gateway.answers import Response
from flywheel.gateway.arms import choose
from flywheel.gateway.asks import Ask, Reply, openai_ask, uncaptured_ask
from flywheel.gateway.calls import Exchange, Receipt
from flywheel.gateway.headers import header_text
from flywheel.gateway.holds import Ticket, is_no_answer
from flywheel.gateway.relays import UpstreamLostError
from flywheel.gateway.sessions import session_of
from flywheel.gateway.spans import end_span
from flywheel.gateway.stations import STATION, Station
from flywheel.gateway.upstreams import NOT_READY, UnreachableError, in_order

_NOT_HERE = NOT_READY | {HTTPStatus.NOT_FOUND}


async def answer_completion(request: web.Request) -> web.StreamResponse:
    """Answer one call in OpenAI's dialect; whatever becomes of it is captured."""
    return await answer(request, openai_ask)


async def answer_uncaptured(request: web.Request) -> web.StreamResponse:
    """Answer one call that goes by alias and arm as any other, but is no lesson."""
    return await answer(request, uncaptured_ask)


async def answer(request: web.Request, read: Callable[[bytes], Ask]) -> web.StreamResponse:
    """Answer one call in the dialect that `read` reads, once the servers may be asked."""
    station = request.app[STATION]
    at, ticket = station.clock.now(), station.holds.ticket()
    ask = read(await request.read())
    if ask.problem is not None:
        return _Trip(station, request, ask, ticket).decline(at, ask.problem)
    while True:
        fallback = await station.holds.wait(ticket)
        # From the routing's reading to the count of requests in flight nothing waits, so that the daemon never sees a
        # model without requests while one is about to go there.
        trip = _Trip(station, request, ask, ticket)
        with station.holds.at_the_servers(fallback):
            response = await trip.go(at, fallback)
        if response is not None:
            return response
        ticket.refused = True  # the fallback has no answer: the call waits for the servers after all


class _Trip:
    """One call's way through the gateway, under the routing that was in force when it set out."""

    exchange: Exchange
    span: Span

    def __init__(self, station: Station, request: web.Request, ask: Ask, ticket: Ticket) -> None:
        self._station = station
        self._request = request
        self._ask = ask
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

    def decline(self, at: datetime, problem: str) -> web.StreamResponse:
        """Return the refusal of what no server could be asked."""
        self.begin(at)
        response = self._refuse(HTTPStatus.BAD_REQUEST, "invalid_request_error", problem)
        self.capture()
        return response

    def begin(self, at: datetime) -> None:
        """Find the session and draw the arm. How long the call was held is not the model's time."""
        ask, headers, routing = self._ask, self._request.headers, self._routing
        session = session_of(headers, ask.fields, ask.raw)
        model = ask.model(routing)
        alias = routing.aliases.get(model) if model else None
        arm = choose(model, alias, session.key) if alias and model else None
        kept = ask.kept and (alias is None or alias.capture)
        self.exchange = Exchange(
            at=at,
            began=self._station.clock.monotonic(),
            raw=ask.raw,
            alias=model if arm else None,
            model=arm.model if arm else model,
            arm=arm.role if arm else None,
            routing_version=routing.version,
            session=session,
            task=headers.get("x-task-id"),
            streamed=ask.streamed,
            receipt=Receipt(keep=self._station.settings.body_limit if kept else 0),
            captured=kept,
        )
        self.span = self._station.tracer.begin("gateway.call", headers)

    async def run(self) -> web.StreamResponse:
        """Return the answer of the arm, else of the base model, else say that there is none."""
        try:
            while (response := await self._answer()) is None:
                self.exchange.fall_back(self._routing.base_model)
        except (UnreachableError, UpstreamLostError) as error:
            return self._refuse(HTTPStatus.BAD_GATEWAY, "upstream_unreachable", f"no model server answered: {error}")
        return response

    async def stand_in(self, fallback: Fallback) -> web.StreamResponse | None:
        """Return the fallback's answer; None when it has none, and then the client has seen nothing."""
        self.exchange.stand_in(fallback.model)
        try:
            upstream = await self._open((fallback.url,))
            if is_no_answer(upstream.status):
                upstream.release()
                return None
            return await self._pass_on(upstream)
        except (UnreachableError, UpstreamLostError):
            return None

    def capture(self) -> None:
        """Count the call, and hand what is known of it to the capture."""
        ended = self._station.clock.monotonic()
        self._station.meter.call_ended(self.exchange, ended, self._ticket.held)
        end_span(self.span, self.exchange, self._ticket.held)
        if self._station.capture is not None and self.exchange.captured:
            self._station.capture.offer(self.exchange.row(ended))
            self._station.mirrors.consider(
                self._station, self.exchange, lambda model: self._ask.outgoing(self._request, model)
            )

    async def _answer(self) -> web.StreamResponse | None:
        """Pass the answer on; None when the adapter is not there and the base model can stand in."""
        exchange = self.exchange
        with self._station.in_flight.asking(exchange.model):
            upstream = await self._open(self._routing.upstreams)
            if upstream.status == HTTPStatus.NOT_FOUND and self._can_fall_back():
                upstream.release()
                return None
            return await self._pass_on(upstream)

    async def _open(self, origins: Sequence[str]) -> Response:
        outgoing = self._ask.outgoing(self._request, self.exchange.model)
        self.span.carry(outgoing.headers)
        # An adapter that one server lost may still be at another: only then does the base stand in.
        elsewhere = _NOT_HERE if self._can_fall_back() else NOT_READY
        return await self._station.upstreams.open(outgoing, in_order(origins, self.exchange.session.key), elsewhere)

    async def _pass_on(self, upstream: Response) -> web.StreamResponse:
        reply = Reply(self._request, upstream, self._added(), self.exchange, self._ticket.held)
        return await self._ask.pass_on(self._station, reply)

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

    def _refuse(self, status: int, kind: str, message: str) -> web.StreamResponse:
        response = self._ask.refuse(status, kind, message)
        response.headers.update(self._added())
        receipt = self.exchange.receipt
        receipt.status = response.status
        receipt.take(response.body if isinstance(response.body, bytes) else b"", self._station.clock.monotonic())
        return response
