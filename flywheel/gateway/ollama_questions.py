"""Requests in Ollama's dialect as questions to a server that speaks OpenAI's. Pure.

What has a counterpart is translated, what only concerns how Ollama itself runs a model is left out, and what cannot be
had from the upstream is refused in one sentence: an answer to another question than the one asked would be worse.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from flywheel.gateway.ollama_templates import TemplateError, render

CHAT_PATH, TEXT_PATH, EMBEDDINGS_PATH = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"

_SAME = ("temperature", "top_p", "top_k", "min_p", "seed", "stop", "presence_penalty", "frequency_penalty")


class UntranslatableError(ValueError):
    """No upstream could be asked that; the message is for whoever asked."""


class Question(NamedTuple):
    """What to ask and where; `model` is not among the fields."""

    path: str
    fields: dict[str, Any]


def is_streamed(fields: Mapping[str, Any]) -> bool:
    """Tell whether a stream is wanted: it is where nothing is said."""
    return fields.get("stream") is not False


def is_only_loading(fields: Mapping[str, Any]) -> bool:
    """Tell whether nothing is asked but that the model be loaded, or unloaded."""
    return not (fields.get("prompt") or fields.get("messages") or fields.get("images") or fields.get("suffix"))


def chat_question(fields: Mapping[str, Any]) -> Question:
    """Translate a request to /api/chat; raises UntranslatableError."""
    asked: dict[str, Any] = {"messages": list(_messages(_list(fields, "messages")))}
    tools = _list(fields, "tools")
    if tools:
        asked["tools"] = tools
    return _chat(fields, asked)


def generate_question(fields: Mapping[str, Any]) -> Question:
    """Translate a request to /api/generate; raises UntranslatableError."""
    prompt, system = _text(fields, "prompt"), _text(fields, "system")
    suffix, template = _text(fields, "suffix"), _text(fields, "template")
    _refuse_images(fields)
    if _list(fields, "context"):
        raise UntranslatableError("context holds another server's tokens: send the conversation to /api/chat instead")
    if fields.get("raw") is True:
        return _plain_text(fields, prompt, suffix)
    if template:
        return _plain_text(fields, _templated(template, system, prompt, suffix), "")
    if suffix:
        return _plain_text(fields, prompt, suffix)
    opening = [{"role": "system", "content": system}] if system else []
    return _chat(fields, {"messages": [*opening, {"role": "user", "content": prompt}]})


def embedding_question(fields: Mapping[str, Any]) -> Question:
    """Translate a request to /api/embed or /api/embeddings; raises UntranslatableError."""
    asked: dict[str, Any] = {"input": fields["input"] if "input" in fields else _text(fields, "prompt")}
    if "dimensions" in fields:
        asked["dimensions"] = fields["dimensions"]
    return Question(EMBEDDINGS_PATH, asked)


def _chat(fields: Mapping[str, Any], asked: dict[str, Any]) -> Question:
    asked.update(_settings(fields))
    asked.update(_thinking(fields.get("think")))
    if fields.get("logprobs") is True:
        asked["logprobs"] = True
        if fields.get("top_logprobs"):
            asked["top_logprobs"] = fields["top_logprobs"]
    return Question(CHAT_PATH, asked)


def _plain_text(fields: Mapping[str, Any], prompt: str, suffix: str) -> Question:
    asked = {"prompt": prompt, **_settings(fields)}
    if suffix:
        asked["suffix"] = suffix
    if fields.get("logprobs") is True:
        asked["logprobs"] = fields.get("top_logprobs") or 0
    return Question(TEXT_PATH, asked)


def _templated(template: str, system: str, prompt: str, suffix: str) -> str:
    try:
        return render(template, {"System": system, "Prompt": prompt, "Suffix": suffix})
    except TemplateError as error:
        raise UntranslatableError(f"{error}: leave it out, and the server's own is used") from error


def _settings(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the answer is to be drawn and shaped."""
    options = fields.get("options") or {}
    if not isinstance(options, Mapping):
        raise UntranslatableError("options is not an object")
    asked: dict[str, Any] = {name: options[name] for name in _SAME if options.get(name) is not None}
    if options.get("repeat_penalty") is not None:
        asked["repetition_penalty"] = options["repeat_penalty"]
    most = options.get("num_predict")
    if isinstance(most, int | float) and most >= 1:  # zero and below: as much as there is room for
        asked["max_tokens"] = int(most)
    asked.update(_format(fields.get("format")))
    asked["stream"] = is_streamed(fields)
    if asked["stream"]:
        asked["stream_options"] = {"include_usage": True}
    return asked


def _format(wanted: Any) -> dict[str, Any]:
    if not wanted:
        return {}
    if wanted == "json":
        return {"response_format": {"type": "json_object"}}
    if isinstance(wanted, Mapping):
        schema = {"name": "answer", "schema": wanted, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    raise UntranslatableError('format is neither "json" nor a JSON schema')


def _thinking(wanted: Any) -> dict[str, Any]:
    """Return what chat templates are told; unsaid is the server's own choice."""
    if isinstance(wanted, bool):
        return {"chat_template_kwargs": {"enable_thinking": wanted, "thinking": wanted}}
    return {"reasoning_effort": wanted} if isinstance(wanted, str) and wanted else {}


def _messages(messages: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield the messages with the numbers that tie a tool's result to its call; Ollama goes by order and name."""
    waiting: list[tuple[str, str]] = []
    calls = 0
    for message in messages:
        if not isinstance(message, Mapping):
            raise UntranslatableError("a message is not an object")
        _refuse_images(message)
        told: dict[str, Any] = {"role": message.get("role"), "content": _content(message)}
        if message.get("role") == "tool":
            yield told | {"tool_call_id": _answered(waiting, message)}
            continue
        if message.get("thinking"):
            told["reasoning_content"] = message["thinking"]
        if made := _list(message, "tool_calls"):
            told["tool_calls"] = [_tool_call(call, calls + number) for number, call in enumerate(made)]
            waiting = [(call["id"], call["function"]["name"]) for call in told["tool_calls"]]
            calls += len(made)
        yield told


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if content is None:
        return ""
    if not isinstance(content, str):
        raise UntranslatableError("a message's content is not a string")
    return content


def _tool_call(call: Any, number: int) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise UntranslatableError("a tool call names no function")
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else json.dumps({} if arguments is None else arguments)
    held = call.get("id")
    return {
        "id": held if isinstance(held, str) and held else f"call_{number}",
        "type": "function",
        "function": {"name": function["name"], "arguments": text},
    }


def _answered(waiting: list[tuple[str, str]], message: Mapping[str, Any]) -> str:
    """Return the number of the call that a result answers: its own, the first of its name, else the first."""
    held = message.get("tool_call_id")
    if isinstance(held, str) and held:
        waiting[:] = [call for call in waiting if call[0] != held]
        return held
    name = message.get("tool_name") or message.get("name")
    found = next((call for call in waiting if call[1] == name), waiting[0] if waiting else None)
    if found is None:
        return "call_0"
    waiting.remove(found)
    return found[0]


def _refuse_images(fields: Mapping[str, Any]) -> None:
    if fields.get("images"):
        raise UntranslatableError("images are not taken here: send them to /v1/chat/completions as parts of a message")


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UntranslatableError(f"{name} is not a string")
    return value


def _list(fields: Mapping[str, Any], name: str) -> list[Any]:
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise UntranslatableError(f"{name} is not a list")
    return value
