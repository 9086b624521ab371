"""Reading tool calls out of what a model wrote, in every format that agents meet. Pure; never raises.

The formats: `<tool_call>{json}</tool_call>`;
`<tool_call><function=n><parameter=k>v</parameter></function></tool_call>`; the latter without
its opening tag (then only with a parameter: an empty function is more likely prose);
a fenced json object with a name (only when no tag held a call); and a server's native `tool_calls`.
What stands between tags is taken out of the remaining text even when it could not be read.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Format = Literal["json", "function", "bare function", "fenced json", "native", "mixed", "malformed", "none"]

_OPEN, _CLOSE, _FUNCTION = "<tool_call>", "</tool_call>", "<function="
_START = re.compile(r"<tool_call>|<function=")
_HEAD = re.compile(r"\s*<function=([^<>]*)>")
_FENCE = re.compile(r"```json\b", re.IGNORECASE)
_DEEPEST = 100  # what nests deeper is no call, and would exhaust the stack of whoever compares or prints it


@dataclass(frozen=True)
class ToolCall:
    """One call: equal when name and arguments are; `written` is the object it was read from."""

    name: str
    arguments: Any = field(default_factory=dict)
    written: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class ToolCalls:
    """The calls in order, the format they were seen in, and the text around them."""

    calls: tuple[ToolCall, ...]
    format: Format
    remaining: str


@dataclass(frozen=True)
class _Span:
    """A stretch of the text that is markup, with the calls that were read from it."""

    start: int
    end: int
    calls: tuple[ToolCall, ...]
    format: Format


def parse_tool_calls(text: str, native: Sequence[Any] | None = None) -> ToolCalls:
    """Return what was called; native calls win over text. Never raises, whatever it is given."""
    called = tuple(call for item in native or () if (call := _native(item)) is not None)
    if called:
        return ToolCalls(called, "native", text.strip())
    spans = list(_tagged(text))
    if not any(span.calls for span in spans):
        spans = sorted([*spans, *_fenced(text, spans)], key=lambda span: span.start)
    calls = tuple(call for span in spans for call in span.calls)
    return ToolCalls(calls, _format(text, spans), _without(text, spans).strip())


def call_from(value: object) -> ToolCall | None:
    """Return the call that a JSON object describes, or None when it has no name."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not value["name"]:
        return None
    arguments = value.get("arguments")
    return ToolCall(value["name"], {} if arguments is None else arguments, value)


def _tagged(text: str) -> Iterator[_Span]:
    at = 0
    while start := _START.search(text, at):
        end = text.find(_CLOSE, start.end())
        if end < 0:
            return
        span = _span(text, start.start(), end, bare=start.group() == _FUNCTION)
        if span is not None:
            yield span
        at = start.end() if span is None else span.end


def _span(text: str, start: int, end: int, *, bare: bool) -> _Span | None:
    if bare:
        calls = _functions(text[start:end])
        whole = bool(calls) and all(call.arguments for call in calls)
        return _Span(start, end + len(_CLOSE), calls, "bare function") if whole else None
    inside = text[start + len(_OPEN) : end].strip()
    if inside.startswith(_FUNCTION):
        return _Span(start, end + len(_CLOSE), _functions(inside), "function")
    call = call_from(_json(inside))
    return _Span(start, end + len(_CLOSE), (call,) if call else (), "json")


def _fenced(text: str, taken: Sequence[_Span]) -> Iterator[_Span]:
    at = 0
    while start := _FENCE.search(text, at):
        end = text.find("```", start.end())
        if end < 0:
            return
        at = end + len("```")
        call = call_from(_json(text[start.end() : end].strip()))
        if call and not any(span.start < at and start.start() < span.end for span in taken):
            yield _Span(start.start(), at, (call,), "fenced json")


def _functions(body: str) -> tuple[ToolCall, ...]:
    """Read one function after the other; anything else between them and nothing was called."""
    calls = []
    at = 0
    while head := _HEAD.match(body, at):
        end = body.find("</function>", head.end())
        arguments = _parameters(body[head.end() : end]) if end >= 0 else None
        name = head.group(1).strip()
        if arguments is None or not name:
            return ()
        calls.append(ToolCall(name, arguments, {"name": name, "arguments": arguments}))
        at = end + len("</function>")
    return () if body[at:].strip() else tuple(calls)


_PARAMETER = re.compile(r"\s*<parameter=([^<>]*)>")


def _parameters(body: str) -> dict[str, Any] | None:
    arguments = {}
    at = 0
    while head := _PARAMETER.match(body, at):
        end = body.find("</parameter>", head.end())
        if end < 0 or not head.group(1).strip():
            return None
        # chat templates put the value on lines of its own: one line break on each side is not the value's
        value = body[head.end() : end].removeprefix("\n").removesuffix("\n")
        arguments[head.group(1).strip()] = value
        at = end + len("</parameter>")
    return None if body[at:].strip() else arguments


def _native(item: object) -> ToolCall | None:
    """Read one entry of a server's `tool_calls`: a mapping or an object, arguments as JSON text or whole."""
    function = _part(item, "function")
    name, arguments = _part(function, "name"), _part(function, "arguments")
    if isinstance(arguments, str):
        arguments = _json(arguments) if arguments.strip() else {}
    elif arguments is None:
        arguments = {}
    if not isinstance(name, str) or not name or not isinstance(arguments, Mapping):
        return None
    arguments = dict(arguments)
    return ToolCall(name, arguments, {"name": name, "arguments": arguments})


def _part(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _json(text: str) -> object:
    """Return the JSON value, or None for what is not JSON."""
    if _depth(text) > _DEEPEST:
        return None
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return None


def _refuse(constant: str) -> object:
    raise ValueError(constant)


def _depth(text: str) -> int:
    deepest = depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _format(text: str, spans: Sequence[_Span]) -> Format:
    formats = {span.format for span in spans if span.calls}
    if len(formats) > 1:
        return "mixed"
    if formats:
        return formats.pop()
    return "malformed" if _START.search(text) else "none"


def _without(text: str, spans: Sequence[_Span]) -> str:
    kept, at = [], 0
    for span in spans:
        kept.append(text[at : span.start])
        at = span.end
    return "".join([*kept, text[at:]])
