"""Everything under /v1 that the gateway has no opinion on goes to the default upstream and back, unchanged."""

import aiohttp
from aiohttp import web

from flywheel.gateway.calls import Receipt
from flywheel.gateway.headers import request_headers
from flywheel.gateway.refusals import refusal
from flywheel.gateway.relays import UpstreamLostError
from flywheel.gateway.stations import STATION
from flywheel.gateway.upstreams import Outgoing, UnreachableError

# The daemon loads adapters, at the server itself; no agent does, because one bad adapter spoils everyone's answers.
_NOT_FOR_AGENTS = frozenset({"load_lora_adapter", "unload_lora_adapter"})
_REPEATABLE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_REPEATABLE_POSTS = frozenset({"/v1/embeddings", "/v1/responses", "/v1/messages", "/v1/rerank", "/v1/score"})


async def pass_through(request: web.Request) -> web.StreamResponse:
    """Answer with the default upstream's answer."""
    if not _is_for_agents(request.path):
        raise web.HTTPNotFound
    station = request.app[STATION]
    try:
        upstream = await open_default(request, await request.read(), plain=False)
        return await station.relay.copy(request, upstream, {}, Receipt(keep=0))
    except (UnreachableError, UpstreamLostError) as error:
        return refusal(502, "upstream_unreachable", f"no model server answered: {error}")


async def open_default(request: web.Request, body: bytes, *, plain: bool) -> aiohttp.ClientResponse:
    """Ask the first upstream that can be reached; raises UnreachableError when none can."""
    station = request.app[STATION]
    outgoing = Outgoing(
        method=request.method,
        path=request.rel_url.raw_path_qs,
        headers=request_headers(request.headers, plain=plain),
        body=body,
        repeatable=request.method in _REPEATABLE_METHODS or request.path in _REPEATABLE_POSTS,
    )
    return await station.upstreams.open(outgoing, station.routes.current.upstreams)


def _is_for_agents(path: str) -> bool:
    """Return whether the decoded path stays under /v1 and names nothing that only the daemon may do."""
    parts = [part for part in path.split("/") if part]
    return not {".", ".."}.intersection(parts) and not _NOT_FOR_AGENTS.intersection(parts)
