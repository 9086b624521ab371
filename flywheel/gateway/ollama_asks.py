"""Calls in Ollama's dialect: asked of upstreams in OpenAI's, answered in their own, captured as the agent saw them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from flywheel.core.routing import Routing
from flywheel.gateway.asks import Reply
from flywheel.gateway.bodies import read_body
from flywheel.gateway.headers import request_headers
from flywheel.gateway.ollama_answers import Form, Times, told_embeddings
from flywheel.gateway.ollama_questions import Question, UntranslatableError, embedding_question, is_streamed
from flywheel.gateway.ollama_relays import ollama_error, pass_answer, pass_stream, pass_whole
from flywheel.gateway.stations import Station
from flywheel.gateway.upstreams import Outgoing

_LATEST = ":latest"
_NOTHING = Question("", {})

Translate = Callable[[Mapping[str, Any]], Question]


@dataclass(frozen=True, slots=True)
class OllamaAsk:
    """A request to /api/chat or /api/generate, and the question it is to an upstream."""

    raw: bytes
    fields: dict[str, Any] | None
    question: Question
    problem: str | None
    is_chat: bool
    kept: bool = True

    @property
    def streamed(self) -> bool:
        """Return whether a stream is wanted."""
        return is_streamed(self.fields or {})

    @property
    def name(self) -> str:
        """Return the name of the model as it was asked for."""
        return model_of(self.fields or {})

    def model(self, routing: Routing) -> str | None:
        """Return what the name means: Ollama's clients may add a tag to it that no upstream knows."""
        return meant(self.name, routing) or None

    def outgoing(self, request: web.Request, model: str | None) -> Outgoing:
        """Return the question to `model`, as JSON whatever the client called its own body."""
        headers = request_headers(request.headers, plain=True)
        headers["content-type"] = "application/json"
        body = json.dumps({"model": model, **self.question.fields}).encode()
        return Outgoing(method="POST", path=self.question.path, headers=headers, body=body, repeatable=True)

    async def pass_on(self, station: Station, reply: Reply) -> web.StreamResponse:
        """Answer under the name that was asked for."""
        form = Form(self.name, self.is_chat)
        return await (pass_stream if self.streamed else pass_answer)(station, reply, form)

    def refuse(self, status: int, kind: str, message: str) -> web.Response:  # noqa: ARG002 - Ollama tells no kinds
        """Return an error in Ollama's shape."""
        return ollama_error(status, message)


@dataclass(frozen=True, slots=True)
class OllamaEmbeddingAsk(OllamaAsk):
    """A request to /api/embed, or in the older form to /api/embeddings; it is no lesson, so nothing is captured."""

    is_old: bool = False

    async def pass_on(self, station: Station, reply: Reply) -> web.StreamResponse:
        """Answer with the numbers alone."""

        def tell(answer: Mapping[str, Any]) -> Mapping[str, Any]:
            seconds = station.clock.monotonic() - reply.exchange.began
            return told_embeddings(self.name, answer, Times(reply.held, None, seconds), is_old=self.is_old)

        return await pass_whole(station, reply, tell)


def read_question(raw: bytes, translate: Translate, *, is_chat: bool) -> OllamaAsk:
    """Read a request; one that cannot be translated says why."""
    fields = read_body(raw).fields
    question, problem = _NOTHING, None
    try:
        question = _translated(fields, translate)
    except UntranslatableError as error:
        problem = str(error)
    return OllamaAsk(raw, fields, question, problem, is_chat)


def read_embedding(raw: bytes, *, is_old: bool) -> OllamaEmbeddingAsk:
    """Read a request for embeddings."""
    ask = read_question(raw, embedding_question, is_chat=False)
    return OllamaEmbeddingAsk(ask.raw, ask.fields, ask.question, ask.problem, is_chat=False, kept=False, is_old=is_old)


def model_of(fields: Mapping[str, Any]) -> str:
    """Return the name of the model; empty: none."""
    name = fields.get("model") or fields.get("name")
    return name if isinstance(name, str) else ""


def meant(name: str, routing: Routing) -> str:
    """Return the name without Ollama's tag for the newest, where that makes it an alias or the base."""
    bare = name.removesuffix(_LATEST)
    known = {*routing.aliases, routing.base_model}
    return bare if bare in known and name not in known else name


def _translated(fields: Mapping[str, Any] | None, translate: Translate) -> Question:
    if fields is None:
        raise UntranslatableError("the body is not a JSON object")
    if not model_of(fields):
        raise UntranslatableError("model is required")
    return translate(fields)
