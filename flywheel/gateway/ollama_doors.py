"""The paths of Ollama's API: what asks for a model's work goes the way of every call, the rest is answered here."""

import json
from functools import partial
from http import HTTPStatus

from aiohttp import web

from flywheel.gateway.bodies import read_body
from flywheel.gateway.completions import answer
from flywheel.gateway.ollama_answers import Form, Told, error_of
from flywheel.gateway.ollama_asks import model_of, read_embedding, read_question
from flywheel.gateway.ollama_listings import find_model, list_loaded, list_tags, show_model, show_version
from flywheel.gateway.ollama_questions import chat_question, generate_question, is_only_loading
from flywheel.gateway.ollama_relays import ollama_error
from flywheel.gateway.stations import STATION

_OURS = "/api/"

_read_chat = partial(read_question, translate=chat_question, is_chat=True)
_read_generate = partial(read_question, translate=generate_question, is_chat=False)
_read_embed = partial(read_embedding, is_old=False)
_read_embeddings = partial(read_embedding, is_old=True)


def add_ollama(router: web.UrlDispatcher) -> None:
    """Open the paths."""
    router.add_post("/api/chat", _answer_chat)
    router.add_post("/api/generate", _answer_generate)
    router.add_post("/api/embed", _answer_embed)
    router.add_post("/api/embeddings", _answer_embeddings)
    router.add_get("/api/tags", list_tags)
    router.add_get("/api/ps", list_loaded)
    router.add_post("/api/show", show_model)
    router.add_get("/api/version", show_version)
    router.add_get("/", _greet)
    router.add_route("*", "/api/{rest:.*}", _decline)


def ollama_shaped(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Tell every refusal of the gateway's own the way Ollama tells it, to whoever came by one of its paths."""
    if isinstance(response, web.Response) and _is_foreign(request, response):
        told = ollama_error(response.status, error_of(_body(response)))
        told.headers.update((name, value) for name, value in response.headers.items() if not _is_shape(name))
        return told
    return response


async def _answer_chat(request: web.Request) -> web.StreamResponse:
    return await _loaded(request, is_chat=True) or await answer(request, _read_chat)


async def _answer_generate(request: web.Request) -> web.StreamResponse:
    return await _loaded(request, is_chat=False) or await answer(request, _read_generate)


async def _answer_embed(request: web.Request) -> web.StreamResponse:
    return await answer(request, _read_embed)


async def _answer_embeddings(request: web.Request) -> web.StreamResponse:
    return await answer(request, _read_embeddings)


async def _loaded(request: web.Request, *, is_chat: bool) -> web.Response | None:
    """Answer who only wants a model loaded, or unloaded: it is there, or it is not, and stays so. Else None."""
    fields = read_body(await request.read()).fields
    name = model_of(fields or {})
    if fields is None or not name or not is_only_loading(fields):
        return None
    if await find_model(request, name) is None:
        return ollama_error(HTTPStatus.NOT_FOUND, f"model {name!r} not found")
    piece = Form(name, is_chat).piece(request.app[STATION].clock.now(), Told())
    reason = "unload" if _is_nothing(fields.get("keep_alive")) else "load"
    return web.json_response(piece | {"done": True, "done_reason": reason})


async def _greet(request: web.Request) -> web.Response:  # noqa: ARG001 - it is the same for everybody
    """Answer clients that look whether anybody is there."""
    return web.Response(text="flywheel's gateway is running")


async def _decline(request: web.Request) -> web.Response:
    message = f"the gateway has no {request.method} {request.path}: models are managed by flywheel"
    return ollama_error(HTTPStatus.NOT_FOUND, message)


def _is_nothing(keep: object) -> bool:
    """Tell whether a time to be kept is none: 0, 0.0, "0s"."""
    try:
        return keep is not None and float(str(keep).rstrip("smh")) == 0.0
    except ValueError:
        return False


def _is_foreign(request: web.Request, response: web.Response) -> bool:
    if not request.path.startswith(_OURS) or response.prepared or response.status < HTTPStatus.BAD_REQUEST:
        return False
    try:
        told = json.loads(_body(response))
    except ValueError:
        return False
    return isinstance(told, dict) and isinstance(told.get("error"), dict)


def _body(response: web.Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""


def _is_shape(name: str) -> bool:
    return name.lower() in {"content-length", "content-type"}
