"""What the double of a model server says: words without sense in every shape that a real one answers in. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_PROMPT_TOKENS = 7

Fields = Mapping[str, Any]


def whole(fields: Fields, words: int, *, is_chat: bool) -> dict[str, Any]:
    """Return an answer in one piece: a tool call where tools are offered and none has answered yet, else words."""
    text = _text(fields, ["word "] * words)
    call = _call(fields)
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if call is not None:
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop" if call is None else "tool_calls"}
    choice |= {"message": message} if is_chat else {"text": text}
    if _wants_logprobs(fields):
        choice["logprobs"] = _logprobs(["word "] * words, is_chat=is_chat)
    return {"id": "c", "object": "chat.completion" if is_chat else "text_completion", "created": 0,
            "model": fields["model"], "choices": [choice], "usage": _usage(words)}  # fmt: skip


def events(fields: Fields, words: int, *, is_chat: bool) -> Iterator[bytes]:
    """Yield an answer piece by piece, its usage, and the mark of its end."""
    call = _call(fields) if is_chat else None
    parts = _spoken(fields, words, is_chat=is_chat) if call is None else _called(call)
    kind = "chat.completion.chunk" if is_chat else "text_completion"
    for choice in parts:
        yield event({"id": "c", "object": kind, "model": fields["model"], "choices": [choice]})
    yield event({"id": "c", "object": kind, "model": fields["model"], "choices": [], "usage": _usage(words)})
    yield b"data: [DONE]\n\n"


def responses_whole(fields: Fields, words: int) -> dict[str, Any]:
    """Return an answer of /v1/responses."""
    content = {"type": "output_text", "text": "word " * words, "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [content]}
    usage = {"input_tokens": _PROMPT_TOKENS, "output_tokens": words, "total_tokens": _PROMPT_TOKENS + words}
    return {"id": "r", "object": "response", "created_at": 0, "status": "completed", "model": fields["model"],
            "output": [message], "usage": usage}  # fmt: skip


def responses_events(fields: Fields, words: int) -> Iterator[bytes]:
    """Yield an answer of /v1/responses piece by piece."""
    answer = responses_whole(fields, words)
    begun = {**answer, "status": "in_progress", "output": [], "usage": None}
    told: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    place = {"item_id": "m", "output_index": 0, "content_index": 0}
    told += ({"type": "response.output_text.delta", **place, "delta": f"word{number} "} for number in range(words))
    told.append({"type": "response.completed", "response": answer})
    for number, one in enumerate(told):
        yield f"event: {one['type']}\n".encode() + event({**one, "sequence_number": number})


def embeddings(fields: Fields) -> dict[str, Any]:
    """Return a vector for each input: its length, and two numbers that are always the same."""
    given = fields.get("input")
    inputs = given if isinstance(given, list) else [given]
    data = [{"object": "embedding", "index": number, "embedding": [float(len(str(one))), 0.5, -0.25]}
            for number, one in enumerate(inputs)]  # fmt: skip
    return {"object": "list", "model": fields["model"], "data": data,
            "usage": {"prompt_tokens": len(inputs), "total_tokens": len(inputs)}}  # fmt: skip


def event(fields: Fields) -> bytes:
    """Return one event of a stream."""
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def _spoken(fields: Fields, words: int, *, is_chat: bool) -> Iterator[dict[str, Any]]:
    for number in range(words):
        word = f"word{number} "
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop" if number == words - 1 else None}
        choice |= {"delta": {"content": word}} if is_chat else {"text": word}
        if _wants_logprobs(fields):
            choice["logprobs"] = _logprobs([word], is_chat=is_chat)
        yield choice


def _called(call: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Return a tool call the way servers stream one: its name first, then its arguments in pieces."""
    arguments = call["function"]["arguments"]
    half = len(arguments) // 2
    opening = {**call, "index": 0, "function": {"name": call["function"]["name"], "arguments": ""}}
    pieces = [{"index": 0, "function": {"arguments": part}} for part in (arguments[:half], arguments[half:])]
    deltas = [{"tool_calls": [piece]} for piece in (opening, *pieces)]
    choices: list[dict[str, Any]] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    return [*choices, {"index": 0, "delta": {}, "finish_reason": "tool_calls"}]


def _call(fields: Fields) -> dict[str, Any] | None:
    """Return a call of the first tool with a word for each thing it wants; none once a tool has answered."""
    tools, messages = fields.get("tools"), fields.get("messages")
    if not tools or not messages or messages[-1].get("role") == "tool":
        return None
    function = tools[0]["function"]
    wanted = (function.get("parameters") or {}).get("properties") or {}
    arguments = json.dumps(dict.fromkeys(wanted, "word"))
    return {"id": "call_x", "type": "function", "function": {"name": function["name"], "arguments": arguments}}


def _text(fields: Fields, words: Sequence[str]) -> str:
    """Return the words, as JSON where JSON is asked for."""
    return json.dumps({"answer": "".join(words)}) if fields.get("response_format") else "".join(words)


def _wants_logprobs(fields: Fields) -> bool:
    return fields.get("logprobs") not in {None, False}


def _logprobs(words: Sequence[str], *, is_chat: bool) -> dict[str, Any]:
    if is_chat:
        likely = [{"token": words[0], "logprob": -0.5, "bytes": None}]
        return {"content": [{"token": word, "logprob": -0.5, "bytes": None, "top_logprobs": likely} for word in words]}
    top = [{word: -0.5} for word in words]
    return {"tokens": list(words), "token_logprobs": [-0.5] * len(words), "top_logprobs": top}


def _usage(words: int) -> dict[str, int]:
    return {"prompt_tokens": _PROMPT_TOKENS, "completion_tokens": words, "total_tokens": _PROMPT_TOKENS + words}
