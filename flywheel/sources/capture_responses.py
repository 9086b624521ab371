"""Calls to /v1/responses in the words of chat completions, which all other readers know. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

_DELTA, _ITEM = "response.output_text.delta", "response.output_item.done"


def is_responses_request(fields: Mapping[str, Any]) -> bool:
    """Tell whether a request is one to /v1/responses."""
    return "input" in fields and "messages" not in fields and "prompt" not in fields


def messages_asked(fields: Mapping[str, Any]) -> list[Any]:
    """Return the conversation of such a request; what it only refers to by a number is not in it."""
    given, instructions = fields["input"], fields.get("instructions")
    opening = [{"role": "system", "content": instructions}] if isinstance(instructions, str) and instructions else []
    if not isinstance(given, list):
        return [*opening, {"role": "user", "content": given}]
    return [*opening, *(message for item in given for message in _messages(item))]


def tools_offered(tools: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield the schemas of the tools, each named as chat completions name it."""
    for tool in tools:
        if isinstance(tool, dict) and tool.get("type") == "function" and "function" not in tool:
            yield {"type": "function", "function": {name: tool[name] for name in tool if name != "type"}}
        elif isinstance(tool, dict):
            yield tool


def messages_said(event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what an answer, or an event of a streamed one, says more than what came before it."""
    kind, output = event.get("type"), event.get("output")
    if kind == _DELTA:
        yield {"content": event.get("delta")}
    elif kind == _ITEM:
        yield from (message for message in _messages(event.get("item")) if "tool_calls" in message)
    elif event.get("object") == "response" and isinstance(output, list):
        yield from (message for item in output for message in _messages(item))


def _messages(item: Any) -> Iterator[dict[str, Any]]:
    """Yield an item of a conversation as a message; thoughts and references are none."""
    if not isinstance(item, Mapping):
        return
    kind = item.get("type", "message")
    if kind == "message":
        yield {"role": item.get("role"), "content": item.get("content")}
    elif kind == "function_call":
        call = {"function": {"name": item.get("name"), "arguments": item.get("arguments")}}
        yield {"role": "assistant", "content": None, "tool_calls": [call]}
    elif kind == "function_call_output":
        yield {"role": "tool", "content": item.get("output")}
