"""What Ollama's clients ask about the models: which there are, what one is like, which are loaded."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web

from flywheel import __version__
from flywheel.core.routing import Alias, Routing
from flywheel.gateway.bodies import read_body
from flywheel.gateway.headers import request_headers
from flywheel.gateway.listings import models_of
from flywheel.gateway.ollama_answers import instant
from flywheel.gateway.ollama_asks import meant, model_of
from flywheel.gateway.ollama_relays import ollama_error
from flywheel.gateway.stations import STATION
from flywheel.gateway.upstreams import Outgoing, UnreachableError

API_LEVEL = "0.12.11"  # the release of Ollama whose fields are spoken here
_FAMILY = "served"  # what kind of network it is only the model server knows
_FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)  # nothing here unloads a model because it was not used
_UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_SECOND = 253_402_300_799


class Served(NamedTuple):
    """A model that can be asked for: its name, the model that answers for it, and what the upstream says of that."""

    name: str
    model: str
    parent: str
    length: int | None
    at: datetime


async def list_tags(request: web.Request) -> web.Response:
    """List the upstream's models and the aliases; the aliases alone while the upstream is down."""
    return web.json_response({"models": [_entry(one) for one in await served_models(request)]})


async def list_loaded(request: web.Request) -> web.Response:
    """List the same: a model server holds all that it lists."""
    found = await served_models(request)
    extra = {"expires_at": instant(_FOR_EVER), "size_vram": 0}
    lengths = ({} if one.length is None else {"context_length": one.length} for one in found)
    entries = [_entry(one) | extra | length for one, length in zip(found, lengths, strict=True)]
    return web.json_response({"models": entries})


async def show_model(request: web.Request) -> web.Response:
    """Say what is known of one model."""
    fields = read_body(await request.read()).fields
    name = model_of(fields or {})
    if not name:
        return ollama_error(400, "model is required")
    one = await find_model(request, name)
    if one is None:
        return ollama_error(404, f"model {name!r} not found")
    length = {} if one.length is None else {f"{_FAMILY}.context_length": one.length}
    return web.json_response({
        "modelfile": f"FROM {one.model}\n", "parameters": "", "template": "", "details": _details(one),
        "model_info": {"general.architecture": _FAMILY, "general.basename": one.model, **length},
        "capabilities": ["completion", "tools"], "modified_at": instant(one.at),
    })  # fmt: skip


async def show_version(request: web.Request) -> web.Response:  # noqa: ARG001 - it is the same for everybody
    """Say which release's API this is; clients refuse to work with one that is too old."""
    return web.json_response({"version": API_LEVEL, "flywheel": __version__})


async def served_models(request: web.Request) -> list[Served]:
    """Return all models that can be asked for."""
    routing = request.app[STATION].routes.current
    listed = {str(model.get("id")): model for model in await _listed(request)}
    return [*_own(routing, listed), *_aliases(routing, listed)]


async def find_model(request: web.Request, name: str) -> Served | None:
    """Return the model that is meant by a name."""
    bare = meant(name, request.app[STATION].routes.current)
    return next((one for one in await served_models(request) if one.name == bare), None)


async def _listed(request: web.Request) -> list[dict[str, Any]]:
    station = request.app[STATION]
    headers = request_headers(request.headers, plain=True)
    headers.popall("content-type", None)
    asking = Outgoing(method="GET", path="/v1/models", headers=headers, body=b"", repeatable=True)
    try:
        return await models_of(await station.upstreams.open(asking, station.routes.current.upstreams))
    except (UnreachableError, aiohttp.ClientError):
        return []


def _own(routing: Routing, listed: Mapping[str, Mapping[str, Any]]) -> Iterator[Served]:
    for name, told in listed.items():
        if name not in routing.aliases:
            parent = told.get("parent")
            yield Served(name, name, parent if isinstance(parent, str) else "", _length(told), _time(told))


def _aliases(routing: Routing, listed: Mapping[str, Mapping[str, Any]]) -> Iterator[Served]:
    for name, alias in sorted(routing.aliases.items()):
        told = _first(alias, routing, listed)
        length = _length(told) or _length(listed.get(routing.base_model, {}))
        yield Served(name, alias.active.model, routing.base_model, length, _time(told))


def _first(alias: Alias, routing: Routing, listed: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    return listed.get(alias.active.model) or listed.get(routing.base_model) or {}


def _entry(one: Served) -> dict[str, Any]:
    """Return a model as a list tells it: the digest changes when another model answers for the name."""
    digest = hashlib.sha256(one.model.encode("utf-8", "surrogatepass")).hexdigest()
    return {"name": one.name, "model": one.name, "modified_at": instant(one.at), "size": 0, "digest": digest,
            "details": _details(one)}  # fmt: skip


def _details(one: Served) -> dict[str, Any]:
    return {"parent_model": one.parent, "format": "safetensors", "family": _FAMILY, "families": [_FAMILY],
            "parameter_size": "", "quantization_level": ""}  # fmt: skip


def _length(told: Mapping[str, Any]) -> int | None:
    length = told.get("max_model_len")
    return length if isinstance(length, int) else None


def _time(told: Mapping[str, Any]) -> datetime:
    created = told.get("created")
    if isinstance(created, int) and 0 <= created < _LATEST_SECOND:
        return datetime.fromtimestamp(created, UTC)
    return _UNKNOWN_TIME
