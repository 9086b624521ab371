"""What an agent asks for, in its own dialect: as the upstream is to see it, and the answer as the agent is to see it.

Between the two every call goes the same way, whichever dialect it came in.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from aiohttp import web

from flywheel.core.routing import Routing
from flywheel.gateway.answers import Response
from flywheel.gateway.bodies import Body, read_body
from flywheel.gateway.calls import Exchange
from flywheel.gateway.headers import request_headers
from flywheel.gateway.refusals import refusal
from flywheel.gateway.stations import Station
from flywheel.gateway.upstreams import Outgoing


class Reply(NamedTuple):
    """An upstream's answer, about to be passed on; `held` is how long the call waited before it was sent."""

    request: web.Request
    upstream: Response
    added: Mapping[str, str]
    exchange: Exchange
    held: float


class Ask(Protocol):
    """One request for a model's work.

    `raw` are the bytes as they came, `problem` why no upstream could be asked that, `kept` whether the capture gets it.
    """

    @property
    def raw(self) -> bytes: ...  # noqa: D102 - the class says it

    @property
    def fields(self) -> dict[str, Any] | None: ...  # noqa: D102

    @property
    def streamed(self) -> bool: ...  # noqa: D102

    @property
    def problem(self) -> str | None: ...  # noqa: D102

    @property
    def kept(self) -> bool: ...  # noqa: D102

    def model(self, routing: Routing) -> str | None:
        """Return the name of the model or alias that is meant."""

    def outgoing(self, request: web.Request, model: str | None) -> Outgoing:
        """Return the same as a request to an upstream, asking `model`; None: whatever it asks."""

    async def pass_on(self, station: Station, reply: Reply) -> web.StreamResponse:
        """Answer with the upstream's answer; raises UpstreamLostError only while the client has seen nothing."""

    def refuse(self, status: int, kind: str, message: str) -> web.Response:
        """Return an error in the shape that the agent knows."""


class OpenAIAsk(NamedTuple):
    """A request that upstreams understand as it is: only the name of its model is changed."""

    body: Body
    kept: bool = True
    problem: str | None = None

    @property
    def raw(self) -> bytes:
        """Return the bytes as they came."""
        return self.body.raw

    @property
    def fields(self) -> dict[str, Any] | None:
        """Return the fields of the JSON object."""
        return self.body.fields

    @property
    def streamed(self) -> bool:
        """Return whether a stream was asked for."""
        return self.body.streamed

    def model(self, routing: Routing) -> str | None:  # noqa: ARG002 - a name is a name here
        """Return the name as it stands there."""
        return self.body.model

    def outgoing(self, request: web.Request, model: str | None) -> Outgoing:
        """Return the client's own bytes, asking `model`."""
        return Outgoing(
            method=request.method,
            path=request.rel_url.raw_path_qs,
            headers=request_headers(request.headers, plain=True),
            body=self.body.raw if model is None else self.body.asking(model),
            repeatable=True,
        )

    async def pass_on(self, station: Station, reply: Reply) -> web.StreamResponse:
        """Answer with the upstream's own bytes."""
        return await station.relay.copy(reply.request, reply.upstream, reply.added, reply.exchange.receipt)

    def refuse(self, status: int, kind: str, message: str) -> web.Response:
        """Return an OpenAI-shaped error."""
        return refusal(status, kind, message)


def openai_ask(raw: bytes) -> OpenAIAsk:
    """Read a request whose call is captured."""
    return OpenAIAsk(read_body(raw))


def uncaptured_ask(raw: bytes) -> OpenAIAsk:
    """Read a request that teaches nothing, and is not captured."""
    return OpenAIAsk(read_body(raw), kept=False)
