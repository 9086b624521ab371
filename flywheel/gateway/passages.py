"""Everything under /v1 that the gateway has no opinion on goes to the default upstream and back, unchanged."""

from collections.abc import Sequence

from aiohttp import web

from flywheel.core.routing import Fallback
from flywheel.gateway.answers import Response
from flywheel.gateway.bodies import Body, read_body
from flywheel.gateway.calls import Receipt
from flywheel.gateway.headers import request_headers
from flywheel.gateway.holds import is_no_answer
from flywheel.gateway.refusals import refusal
from flywheel.gateway.relays import UpstreamLostError
from flywheel.gateway.stations import STATION
from flywheel.gateway.upstreams import Outgoing, UnreachableError

# The daemon loads adapters, at the server itself; no agent does, because one bad adapter spoils everyone's answers.
_NOT_FOR_AGENTS = frozenset({"load_lora_adapter", "unload_lora_adapter"})
_REPEATABLE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_REPEATABLE_POSTS = frozenset({"/v1/embeddings", "/v1/responses", "/v1/messages", "/v1/rerank", "/v1/score"})


async def pass_through(request: web.Request) -> web.StreamResponse:
    """Answer with the default upstream's answer; what asks a model for work waits while the servers rest."""
    if not _is_for_agents(request.path):
        raise web.HTTPNotFound
    station = request.app[STATION]
    if request.method != "POST":
        return await _answer(request, await request.read())
    ticket = station.holds.ticket()
    body = read_body(await request.read())
    while True:
        fallback = await station.holds.wait(ticket)
        with station.holds.at_the_servers(fallback):
            if fallback is None:
                return await _answer(request, body.raw)
            response = await _stand_in(request, body, fallback)
        if response is not None:
            return response
        ticket.refused = True


async def _answer(request: web.Request, body: bytes) -> web.StreamResponse:
    station = request.app[STATION]
    try:
        upstream = await _open(request, body, station.routes.current.upstreams, plain=False)
        return await station.relay.copy(request, upstream, {}, Receipt(keep=0))
    except (UnreachableError, UpstreamLostError) as error:
        return refusal(502, "upstream_unreachable", f"no model server answered: {error}")


async def _stand_in(request: web.Request, body: Body, fallback: Fallback) -> web.StreamResponse | None:
    """Answer with the fallback's answer; None when it has none, and then the client has seen nothing."""
    raw = body.raw if body.model is None else body.asking(fallback.model)
    try:
        upstream = await _open(request, raw, (fallback.url,), plain=False)
        if is_no_answer(upstream.status):
            upstream.release()
            return None
        return await request.app[STATION].relay.copy(request, upstream, {}, Receipt(keep=0))
    except (UnreachableError, UpstreamLostError):
        return None


async def open_default(request: web.Request, body: bytes, *, plain: bool) -> Response:
    """Ask the first upstream that can be reached; raises UnreachableError when none can."""
    return await _open(request, body, request.app[STATION].routes.current.upstreams, plain=plain)


async def _open(request: web.Request, body: bytes, origins: Sequence[str], *, plain: bool) -> Response:
    outgoing = Outgoing(
        method=request.method,
        path=request.rel_url.raw_path_qs,
        headers=request_headers(request.headers, plain=plain),
        body=body,
        repeatable=request.method in _REPEATABLE_METHODS or request.path in _REPEATABLE_POSTS,
    )
    return await request.app[STATION].upstreams.open(outgoing, origins)


def _is_for_agents(path: str) -> bool:
    """Return whether the decoded path stays under /v1 and names nothing that only the daemon may do."""
    parts = [part for part in path.split("/") if part]
    return not {".", ".."}.intersection(parts) and not _NOT_FOR_AGENTS.intersection(parts)
