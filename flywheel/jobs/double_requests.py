"""What clients may ask: bodies checked as vLLM checks them and turned into plain values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from double_errors import RefusalError, malformed, wrong_media, wrong_shape, wrong_value

LEGACY_MAX_TOKENS = 16
HOTTEST = 2.0

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one answer is drawn."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    min_tokens: int = 0
    ignore_eos: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """A checked request: what to continue, how often, how, and how to send it."""

    prompts: list[list[int]]
    sampling: Sampling
    n: int
    stream: bool
    include_usage: bool
    continuous_usage: bool


def parse_body(raw: bytes, content_type: str) -> Body:
    """Return the JSON object that a request carries."""
    if not raw:
        raise wrong_shape("missing", "body", "Field required", None)
    if content_type != "application/json":
        raise wrong_media()
    try:
        body = json.loads(raw)
    except json.JSONDecodeError as error:
        raise malformed(f"body.{error.pos}", error.msg) from error
    except UnicodeDecodeError as error:
        raise RefusalError("There was an error parsing the body", "Bad Request") from error
    if not isinstance(body, dict):
        message = "Input should be a valid dictionary or object to extract fields from"
        raise wrong_shape("model_attributes_type", "body", message, body)
    return body


def text_field(body: Body, name: str) -> str:
    """Return a string that must be there."""
    if name not in body:
        raise wrong_shape("missing", f"body.{name}", "Field required", body)
    if not isinstance(body[name], str):
        raise wrong_shape("string_type", f"body.{name}", "Input should be a valid string", body[name])
    return str(body[name])


def flag_field(body: Body, name: str) -> bool:
    """Return a truth value; absent and null mean no."""
    value = body.get(name)
    if value is None or value in (0, 1):
        return bool(value)
    raise wrong_shape(
        "bool_parsing", f"body.{name}", "Input should be a valid boolean, unable to interpret input", value
    )


def _number(body: Body, name: str, default: Any, kind: type) -> Any:
    value = body.get(name)
    if value is None:
        return default
    word = "integer" if kind is int else "number"
    if isinstance(value, str):
        try:
            return kind(value)
        except ValueError:
            message = f"Input should be a valid {word}, unable to parse string as {'an' if kind is int else 'a'} {word}"
            raise wrong_shape(f"{kind.__name__}_parsing", f"body.{name}", message, value) from None
    if not isinstance(value, int | float):
        raise wrong_shape(f"{kind.__name__}_type", f"body.{name}", f"Input should be a valid {word}", value)
    if kind(value) != value:
        message = "Input should be a valid integer, got a number with a fractional part"
        raise wrong_shape("int_from_float", f"body.{name}", message, value)
    return kind(value)


def _stops(body: Body) -> tuple[str, ...]:
    stop = body.get("stop") or []
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(text, str) for text in stops):
        raise wrong_shape("string_type", "body.stop", "Input should be a valid string", stop)
    if "" in stops:
        raise RefusalError("stop cannot contain an empty string.")
    return tuple(stops)


def _check_ranges(sampling: Sampling, n: int) -> None:
    if n < 1:
        raise RefusalError(f"n must be at least 1, got {n}.")
    heat, share = sampling.temperature, sampling.top_p
    if heat < 0:
        raise wrong_value("temperature", heat, f"temperature must be non-negative, got {heat}.")
    if heat > HOTTEST:
        raise wrong_value("temperature", heat, f"temperature must be in [0, 2], got {heat}.")
    if not 0 < share <= 1:
        raise wrong_value("top_p", share, f"top_p must be in (0, 1], got {share}.")
    if sampling.top_k < 0:
        raise RefusalError(f"top_k must be 0 (disable), or at least 1, got {sampling.top_k}.")
    if n > 1 and heat == 0:
        raise RefusalError(f"n must be 1 when using greedy sampling, got {n}.")


def _room(wanted: int | None, longest_prompt: int, limit: int) -> int:
    """How many tokens may be drawn: what is wanted, clipped to what the context has room for."""
    if wanted is not None and wanted < 1:
        raise wrong_value("max_tokens", wanted, f"max_tokens must be at least 1, got {wanted}.")
    if wanted is not None and wanted > limit:
        message = (
            f"max_tokens={wanted} cannot be greater than max_model_len={limit}. Please request fewer output tokens."
        )
        raise wrong_value("max_tokens", wanted, message)
    if longest_prompt >= limit:
        counted = min(longest_prompt, limit + 1)
        message = (
            f"This model's maximum context length is {limit} tokens. However, your prompt contains at least {counted} "
            "input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the "
            "input prompt."
        )
        raise wrong_value("input_tokens", counted, message)
    room = limit - longest_prompt
    return room if wanted is None else min(wanted, room)


def _stream_options(body: Body, *, stream: bool) -> tuple[bool, bool]:
    options = body.get("stream_options")
    if options is None:
        return False, False
    if not stream:
        message = "Stream options can only be defined when `stream=True`. (parameter=stream_options)"
        raise RefusalError(message, param="stream_options")
    if not isinstance(options, dict):
        raise wrong_shape("model_attributes_type", "body.stream_options", "Input should be a valid dictionary", options)
    return bool(options.get("include_usage")), bool(options.get("continuous_usage_stats"))


def _refuse_extras(body: Body, names: tuple[str, ...]) -> None:
    for name in names:
        if body.get(name):
            raise RefusalError(f"{name} is not supported by this server", param=name)


def wish(body: Body, prompts: list[list[int]], limit: int, wanted: int | None) -> Wish:
    """Return the checked request for answers to `prompts`, `wanted` tokens long at most, or what there is room for."""
    n = _number(body, "n", 1, int)
    stream = flag_field(body, "stream")
    include_usage, continuous = _stream_options(body, stream=stream)
    sampling = Sampling(
        max_tokens=_room(wanted, max(map(len, prompts)), limit),
        temperature=_number(body, "temperature", 1.0, float),
        top_p=_number(body, "top_p", 1.0, float),
        top_k=_number(body, "top_k", 0, int),
        seed=_number(body, "seed", None, int),
        stop=_stops(body),
        min_tokens=_number(body, "min_tokens", 0, int),
        ignore_eos=flag_field(body, "ignore_eos"),
    )
    _check_ranges(sampling, n)
    return Wish(prompts, sampling, n, stream, include_usage, continuous)


def chat_messages(body: Body) -> list[Body]:
    """Return the messages of a chat request, each with plain text for content."""
    _refuse_extras(body, ("logprobs", "top_logprobs", "prompt_logprobs"))
    if "messages" not in body:
        raise wrong_shape("missing", "body.messages", "Field required", body)
    messages = body["messages"]
    if not isinstance(messages, list):
        raise wrong_shape("list_type", "body.messages", "Input should be a valid list", messages)
    if body.get("tools") and body.get("tool_choice", "auto") == "auto":
        raise RefusalError('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')
    if not messages:
        raise RefusalError("Cannot apply chat template to an empty conversation. Provide at least one message.")
    return [_message(number, message) for number, message in enumerate(messages)]


def _message(number: int, message: Any) -> Body:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise wrong_shape("missing", f"body.messages.{number}.role", "Field required", message)
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return {**message, "content": "" if content is None else str(content)}


def chat_length(body: Body) -> int | None:
    """How long an answer the client allows."""
    newer = _number(body, "max_completion_tokens", None, int)
    return newer if newer is not None else _number(body, "max_tokens", None, int)


def legacy_length(body: Body) -> int | None:
    """How long a completion the client allows; the old door gives 16 tokens to those who do not say."""
    return int(_number(body, "max_tokens", LEGACY_MAX_TOKENS, int))


def legacy_prompts(body: Body) -> list[str | list[int]]:
    """Return the prompts of a completions request, as text or as tokens."""
    _refuse_extras(body, ("logprobs", "echo", "suffix", "prompt_logprobs"))
    prompt = body.get("prompt")
    if prompt is None or prompt == "":
        message = "Either prompt or prompt_embeds must be provided and non-empty. (parameter=prompt)"
        raise RefusalError(message, param="prompt")
    if prompt == []:
        raise RefusalError("You must pass at least one prompt")
    if isinstance(prompt, str) or _are_tokens(prompt):
        return [prompt]
    if isinstance(prompt, list) and all(isinstance(item, str) or _are_tokens(item) for item in prompt):
        return prompt
    raise wrong_shape("string_type", "body.prompt", "Input should be a valid string", prompt)


def _are_tokens(prompt: Any) -> bool:
    return isinstance(prompt, list) and len(prompt) > 0 and all(type(item) is int for item in prompt)
