"""Answers of a server that speaks OpenAI's dialect, told in Ollama's: whole, or piece by piece as they come. Pure."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

GONE = "the model server went away in the middle of its answer"

_DATA = b"data:"
_DONE = b"[DONE]"
_LONGEST_LINE = 8 * 1024 * 1024  # of a stream that forgets to end its lines; an event is some hundred bytes
_MOST_CALLS = 1000


class UnreadableAnswerError(ValueError):
    """What the upstream said is no answer, or one that tells an error; the message is the error's."""


class Times(NamedTuple):
    """Seconds: waiting before anybody was asked, until the first piece where it is known, and in all since asking."""

    held: float
    first: float | None
    all: float


class Told(NamedTuple):
    """What an answer, or a part of it, says."""

    text: str = ""
    thinking: str = ""
    calls: Sequence[dict[str, Any]] = ()
    logprobs: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """How answers look: the model's name as it was asked for, and whether they are messages or plain responses."""

    model: str
    is_chat: bool

    def piece(self, at: datetime, told: Told) -> dict[str, Any]:
        """Return a part of an answer, or all of it."""
        piece: dict[str, Any] = {"model": self.model, "created_at": instant(at)}
        if self.is_chat:
            message: dict[str, Any] = {"role": "assistant", "content": told.text}
            if told.thinking:
                message["thinking"] = told.thinking
            if told.calls:
                message["tool_calls"] = list(told.calls)
            piece["message"] = message
        else:
            piece["response"] = told.text
            if told.thinking:
                piece["thinking"] = told.thinking
        piece["done"] = False
        if told.logprobs:
            piece["logprobs"] = list(told.logprobs)
        return piece


class Stream:
    """Turns the upstream's events, in whatever pieces they come, into what they say."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self._rest = b""
        self._calls: dict[int, _Call] = defaultdict(_Call)
        self.reason: str | None = None
        self.usage: Mapping[str, Any] = {}

    def feed(self, data: bytes) -> Iterator[Told]:
        """Yield what these bytes say more; raises UnreadableAnswerError for an error's event."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            raise UnreadableAnswerError("the model server sent an event without end")
        for line in lines:
            event = line.strip()
            if event.startswith(_DATA) and (event := event[len(_DATA) :].strip()) != _DONE:
                yield from self._take(read_object(event))

    def last(self) -> Told:
        """Return what only the end makes whole, the tool calls; raises UnreadableAnswerError where it did not come."""
        if self.reason is None:
            raise UnreadableAnswerError(GONE)
        calls = [call for _, call in sorted(self._calls.items()) if call.name]
        return _told_calls(calls)

    def _take(self, event: Mapping[str, Any]) -> Iterator[Told]:
        if isinstance(event.get("usage"), Mapping):
            self.usage = event["usage"]
        choice = _first_choice(event)
        if choice is None:
            return
        self.reason = choice.get("finish_reason") or self.reason
        delta = choice.get("delta")
        delta = delta if isinstance(delta, Mapping) else {}
        for position, call in enumerate(_objects(delta.get("tool_calls"))):
            index = call.get("index")
            self._calls[index if isinstance(index, int) else position].add(call)
        told = Told(_text(choice.get("text")) or _text(delta.get("content")), _thought(delta), (), _logprobs(choice))
        if told.text or told.thinking or told.logprobs:
            yield told


class _Call:
    """A tool call, as far as it was told."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments = ""

    def add(self, call: Mapping[str, Any]) -> None:
        function = call.get("function")
        function = function if isinstance(function, Mapping) else {}
        self.id = _text(call.get("id")) or self.id
        self.name += _text(function.get("name"))
        told = function.get("arguments")
        self.arguments += told if isinstance(told, str) else "" if told is None else json.dumps(told)

    def told(self, index: int) -> dict[str, Any] | None:
        """Return the call as Ollama tells it; None when its arguments are no object, which it cannot tell."""
        try:
            arguments = json.loads(self.arguments or "{}")
        except (ValueError, RecursionError):
            return None
        if not isinstance(arguments, dict):
            return None
        function = {"index": index, "name": self.name, "arguments": arguments}
        return {"id": self.id, "function": function} if self.id else {"function": function}

    def written(self) -> str:
        """Return the call as the model wrote it."""
        return f'<tool_call>\n{{"name": {json.dumps(self.name)}, "arguments": {self.arguments}}}\n</tool_call>'


def read_object(data: bytes) -> Mapping[str, Any]:
    """Return the upstream's JSON object; raises UnreadableAnswerError when it is none, or tells an error."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UnreadableAnswerError("the model server's answer cannot be read")
    if found.get("error"):
        raise UnreadableAnswerError(error_of(data))
    return found


def whole_answer(form: Form, answer: Mapping[str, Any], at: datetime, times: Times) -> dict[str, Any]:
    """Return a whole answer with its numbers; raises UnreadableAnswerError when nothing was answered."""
    choice = _first_choice(answer)
    if choice is None:
        raise UnreadableAnswerError("the model server's answer holds no choice")
    message = choice.get("message")
    message = message if isinstance(message, Mapping) else {}
    calls = []
    for given in _objects(message.get("tool_calls")):
        calls.append(_Call())
        calls[-1].add(given)
    made = _told_calls(calls)
    text = _text(choice.get("text")) or _text(message.get("content"))
    told = Told("\n".join(filter(None, (text, made.text))), _thought(message), made.calls, _logprobs(choice))
    usage = answer.get("usage")
    ending = end(choice.get("finish_reason"), usage if isinstance(usage, Mapping) else {}, times)
    return form.piece(at, told) | ending


def told_embeddings(model: str, answer: Mapping[str, Any], times: Times, *, is_old: bool) -> dict[str, Any]:
    """Return embeddings; raises UnreadableAnswerError when there are none."""
    found = [item["embedding"] for item in _objects(answer.get("data")) if isinstance(item.get("embedding"), list)]
    if is_old and len(found) == 1:
        return {"embedding": found[0]}
    if not found:
        raise UnreadableAnswerError("the model server's answer holds no embedding")
    usage = answer.get("usage")
    count = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None
    numbers = {"total_duration": _nanoseconds(times.held + times.all), "load_duration": _nanoseconds(times.held)}
    told = {"model": model, "embeddings": found, **numbers}
    return told | ({"prompt_eval_count": count} if isinstance(count, int) else {})


def end(reason: Any, usage: Mapping[str, Any], times: Times) -> dict[str, Any]:
    """Return what stands in the last piece of an answer. Numbers that nobody told are left out."""
    told = {
        "total_duration": times.held + times.all,
        "load_duration": times.held,
        "prompt_eval_duration": times.first,
        "eval_duration": times.all - (times.first or 0.0),
    }
    counts = {"prompt_eval_count": usage.get("prompt_tokens"), "eval_count": usage.get("completion_tokens")}
    return {
        "done": True,
        "done_reason": "length" if reason == "length" else "stop",
        **{name: _nanoseconds(seconds) for name, seconds in told.items() if seconds is not None},
        **{name: count for name, count in counts.items() if isinstance(count, int)},
    }


def error_of(data: bytes) -> str:
    """Return the sentence in an error's body, whichever way it is wrapped."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace").strip()
    error = found.get("error", found) if isinstance(found, dict) else found
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error
    return error if isinstance(error, str) else json.dumps(error)


def line(fields: Mapping[str, Any]) -> bytes:
    """Return an object as a line of a stream."""
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def instant(at: datetime) -> str:
    """Return a time as Ollama writes it."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _told_calls(calls: Sequence[_Call]) -> Told:
    """Return calls as Ollama tells them; one that is not whole JSON stays the text that the model wrote."""
    made = [(call, call.told(number)) for number, call in enumerate(calls[:_MOST_CALLS])]
    text = "\n".join(call.written() for call, told in made if told is None)
    return Told(text, "", [told for _, told in made if told is not None])


def _first_choice(event: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((choice for choice in _objects(event.get("choices")) if not choice.get("index")), None)


def _thought(message: Mapping[str, Any]) -> str:
    return _text(message.get("reasoning")) or _text(message.get("reasoning_content"))


def _logprobs(choice: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    """Return the tokens' log-probabilities, as chat or text completions tell them."""
    told = choice.get("logprobs")
    if not isinstance(told, Mapping):
        return ()
    if isinstance(told.get("content"), list):
        return [_logprob(token) for token in _objects(told["content"])]
    names = ("tokens", "token_logprobs", "top_logprobs")
    tokens, values, tops = (held if isinstance(held := told.get(name), list) else [] for name in names)
    found = []
    for number, (token, value) in enumerate(zip(tokens, values, strict=False)):
        top = tops[number] if number < len(tops) and isinstance(tops[number], Mapping) else {}
        likely = [{"token": other, "logprob": chance} for other, chance in top.items()]
        found.append({"token": token, "logprob": value} | ({"top_logprobs": likely} if likely else {}))
    return found


def _logprob(token: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: token[name] for name in ("token", "logprob", "bytes") if token.get(name) is not None}
    likely = [_logprob(other) for other in _objects(token.get("top_logprobs"))]
    return kept | ({"top_logprobs": likely} if likely else {})


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000_000)


def _objects(value: Any) -> Sequence[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
