"""What the gateway says about itself and about the models: health, the routing in force, the model list."""

import json
from collections.abc import Iterable
from typing import Any

import aiohttp
from aiohttp import web

from flywheel.core.routing import Routing
from flywheel.gateway.answers import Response
from flywheel.gateway.calls import Receipt
from flywheel.gateway.captures import CaptureCounts
from flywheel.gateway.passages import open_default
from flywheel.gateway.relays import UpstreamLostError
from flywheel.gateway.stations import STATION
from flywheel.gateway.upstreams import UnreachableError

_OK = 200
_SERVER_ERROR = 500


async def show_health(request: web.Request) -> web.Response:
    """Say that the gateway itself is alive; it does not speak for the model servers."""
    station = request.app[STATION]
    status = "draining" if station.draining else "ok"
    return web.json_response({"status": status, "routing_version": station.routes.current.version})


async def show_routing(request: web.Request) -> web.Response:
    """Say what is in force and what is still on its way: the daemon unloads a model that has nothing in flight."""
    station = request.app[STATION]
    routing = station.routes.current
    counts = station.capture.counts() if station.capture else CaptureCounts()
    return web.json_response(
        {
            **routing.model_dump(mode="json"),
            "in_flight": station.in_flight.models(),
            "calls": station.holds.tell(),
            "servers": station.upstreams.healths.tell(routing.upstreams),
            "mirrors": station.mirrors.tell(),
            "door": station.door.tell(),
            "capture": {
                "enabled": station.capture is not None,
                "written": counts.written,
                "waiting": counts.waiting,
                "dropped": counts.dropped,
                "quarantined": counts.quarantined,
                "forgotten": counts.forgotten,
                "trouble": counts.trouble,
            },
        }
    )


async def list_models(request: web.Request) -> web.StreamResponse:
    """List the upstream's models and the aliases; the aliases alone while the upstream is down."""
    station = request.app[STATION]
    try:
        upstream = await open_default(request, b"", plain=True)
        if upstream.status != _OK and upstream.status < _SERVER_ERROR:
            return await station.relay.copy(request, upstream, {}, Receipt(keep=0))
        models = await models_of(upstream)
    except (UnreachableError, UpstreamLostError):
        models = []
    return _listing(station.routes.current, models)


async def models_of(upstream: Response) -> list[dict[str, Any]]:
    """Return the models that the upstream lists; none when it says nothing that can be read."""
    try:
        answer = json.loads(await upstream.read()) if upstream.status == _OK else None
    except (aiohttp.ClientError, OSError, ValueError):
        return []
    finally:
        upstream.close()
    models = answer.get("data") if isinstance(answer, dict) else None
    return [model for model in models if isinstance(model, dict)] if isinstance(models, list) else []


def _listing(routing: Routing, models: Iterable[dict[str, Any]]) -> web.Response:
    kept = [model for model in models if model.get("id") not in routing.aliases]
    lengths = {str(model.get("id")): model["max_model_len"] for model in kept if "max_model_len" in model}
    aliases = [_alias_model(name, lengths.get(routing.base_model)) for name in sorted(routing.aliases)]
    return web.json_response({"object": "list", "data": [*kept, *aliases]})


def _alias_model(name: str, length: object) -> dict[str, Any]:
    """Return an alias as a model; agents read the length of the context from it, where the base tells one."""
    model = {"id": name, "object": "model", "created": 0, "owned_by": "flywheel"}
    return model if length is None else {**model, "max_model_len": length}
