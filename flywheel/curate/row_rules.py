"""What a row of a dataset must be, rule by rule: any JSON value in, what is wrong with it out. Pure; never raises."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

from flywheel.core.ids import content_hash
from flywheel.core.outcomes import Role
from flywheel.core.secrets import find_secret_in
from flywheel.core.tool_calls import ToolCall, parse_tool_calls

Level = Literal["error", "warning"]
ROLES = frozenset(get_args(Role))

#: Every rule: whether breaking it makes a dataset fail, and what it wants.
RULES: Mapping[str, tuple[Level, str]] = MappingProxyType(
    {
        "missing": ("error", "there is a train.jsonl, a pairs.jsonl or a judged.jsonl; other parts may be missing"),
        "unreadable": ("error", "a part can be read"),
        "no-rows": ("error", "a part that is there has rows"),
        "bom": ("error", "no byte order mark stands before a row"),
        "not-utf8": ("error", "a row is UTF-8, without half characters"),
        "not-json": ("error", "a row is one JSON value"),
        "torn": ("error", "the last row is whole: a writer that was killed leaves half of one"),
        "too-large": ("error", "a row has at most 16 MiB"),
        "wrong-type": ("error", "a row is an object with a list of messages, whose roles and contents are text"),
        "few-messages": ("error", "a row has at least two messages"),
        "last-message": ("error", "the last message is the assistant's"),
        "unknown-role": ("error", "a role is system, user, assistant or tool"),
        "empty": ("error", "no message is empty, unless it calls a tool natively"),
        "tool-call": ("error", "tool-call tags hold a call that can be read, native calls a name and JSON arguments"),
        "not-offered": ("error", "the last answer calls only tools that the row offers, where it offers any"),
        "tools": ("error", "tools are a list of function schemas with different names"),
        "extras": ("error", "weight is a number above 0, masks are spans of the last answer"),
        "same-answer": ("error", "the answers of a pair differ"),
        "label": ("error", "the label of a judgement is true or false"),
        "one-label": ("error", "what teaches by single judgements holds good and bad answers"),
        "contradiction": ("error", "no answer is preferred in one row and avoided in another"),
        "secret": ("error", "no row holds a secret"),
        "leak": ("error", "no row stands in two parts"),
        "question-leak": ("error", "no question stands on two sides: what teaches, what validates, what examines"),
        "many-tools": ("error", "at most 80 % of the rows call tools"),
        "few-tools": ("warning", "at least 10 % of the rows call tools"),
        "lopsided": ("warning", "of one label there are at most four judgements for each of the other"),
        "system-place": ("warning", "a system message comes first: many chat templates refuse another place"),
        "duplicate": ("warning", "no row stands in a part twice"),
        "crlf": ("warning", "lines end in a line feed alone"),
        "blank": ("warning", "no line is blank"),
        "no-last-break": ("warning", "the last line ends in a line feed"),
    }
)  # fmt: skip

_BLOCK = re.compile(r"<tool_call>.*?(?:</tool_call>|\Z)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
_PRIMITIVE = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})

Found = tuple[str, str]


class Row(NamedTuple):
    """What is wrong with a row, and what is known of it: whether it calls tools, its question's and its own key."""

    problems: tuple[Found, ...]
    calls_tools: bool = False
    question: str | None = None
    whole: str | None = None


def inspect_row(value: Any) -> Row:
    """Return what is wrong with a row: pairs of rule and reason; the keys of a row that is a conversation."""
    if not isinstance(value, Mapping):
        return Row((("wrong-type", "the row is no object"),))
    messages = value.get("messages")
    if not isinstance(messages, list):
        return Row((("wrong-type", _no_messages(value)), *secrets_of(value)))
    shapes = [*_shapes(messages)]
    found = [*shapes, *_extras(value, messages), *_tools(value.get("tools")), *secrets_of(value)]
    if any(rule in {"wrong-type", "few-messages"} for rule, _ in shapes):
        return Row(tuple(found))
    found += [*_calls(messages), *_offered(value.get("tools"), messages[-1])]
    question = content_hash([_words(message) for message in messages[:-1]])
    return Row(tuple(found), any(_calls_tool(one) for one in messages), question,
               content_hash([question, _words(messages[-1])]))  # fmt: skip


def _no_messages(value: Mapping[Any, Any]) -> str:
    other = sorted({"prompt", "completion", "instruction", "text", "conversations"} & set(value))
    return "the row has no list of messages" + (f"; it has {', '.join(other)}" if other else "")


def _shapes(messages: Sequence[Any]) -> Iterator[Found]:
    if len(messages) < 2:  # noqa: PLR2004 - a question and an answer
        yield "few-messages", f"{len(messages)} of at least 2 messages"
    for number, message in enumerate(messages, 1):
        if not isinstance(message, Mapping):
            yield "wrong-type", f"message {number} is no object"
        else:
            yield from _shape(number, message)
    last = messages[-1] if messages else None
    if isinstance(last, Mapping) and isinstance(last.get("role"), str) and last["role"] != "assistant":
        yield "last-message", f"the last message is of role {_short(last['role'])}"


def _shape(number: int, message: Mapping[str, Any]) -> Iterator[Found]:
    role, content, native = message.get("role"), message.get("content"), message.get("tool_calls")
    if not isinstance(role, str):
        yield "wrong-type", f"message {number} has no role"
    elif role not in ROLES:
        yield "unknown-role", f"message {number} is of role {_short(role)}"
    if role == "system" and number > 1:
        yield "system-place", f"message {number} is the system's"
    if content is not None and not isinstance(content, str):
        yield "wrong-type", f"the content of message {number} is {_kind(content)}, not text"
    elif not (content or "").strip() and not native:
        yield "empty", f"message {number} is empty"
    elif isinstance(content, str) and _half(content):
        yield "not-utf8", f"message {number} holds half a character"
    if native is not None and not isinstance(native, list):
        yield "wrong-type", f"tool_calls of message {number} is {_kind(native)}, not a list"


def _calls(messages: Sequence[Mapping[str, Any]]) -> Iterator[Found]:
    for number, message in enumerate(messages, 1):
        if message.get("role") != "assistant":
            continue
        blocks = _BLOCK.findall(message.get("content") or "")
        wrong = sum(not block.endswith("</tool_call>") or not parse_tool_calls(block).calls for block in blocks)
        native = message.get("tool_calls") or []
        wrong += len(native) - len(parse_tool_calls("", native).calls)
        if wrong:
            yield "tool-call", f"{wrong} tool call{'s' * (wrong != 1)} of message {number} cannot be read"


def _calls_tool(message: Mapping[str, Any]) -> bool:
    return message.get("role") == "tool" or bool(_called(message))


def _called(message: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    """Return what an assistant's message calls; a fenced JSON object with a name may be an answer of its own right."""
    if message.get("role") != "assistant":
        return ()
    read = parse_tool_calls(message.get("content") or "", message.get("tool_calls"))
    return () if read.format == "fenced json" else read.calls


def _offered(tools: Any, answer: Mapping[str, Any]) -> Iterator[Found]:
    offered = [tool for tool in tools if isinstance(tool, Mapping)] if _is_list(tools) else []
    names = {str(_function(tool).get("name")) for tool in offered}
    for call in _called(answer) if names else ():
        if call.name not in names:
            yield "not-offered", f"{_short(call.name)} is called and not offered"


def _tools(tools: Any) -> Iterator[Found]:
    if tools is None:
        return
    if not _is_list(tools):
        yield "tools", f"tools is {_kind(tools)}, not a list"
        return
    for number, tool in enumerate(tools, 1):
        reason = _schema(tool)
        if reason:
            yield "tools", f"tool {number} {reason}"
    names = [str(_function(tool).get("name")) for tool in tools if isinstance(tool, Mapping)]
    if len(set(names)) < len(names):
        yield "tools", "two tools have the same name"


def _schema(tool: Any) -> str:
    if not isinstance(tool, Mapping):
        return f"is {_kind(tool)}, not an object"
    function = _function(tool)
    name, parameters = function.get("name"), function.get("parameters")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return "has no name"
    if not isinstance(function.get("description", ""), str | None):
        return "has a description that is not text"
    return _parameters(parameters) if parameters is not None else ""


def _parameters(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "has parameters that are no object"
    if schema.get("type", "object") != "object":
        return "has parameters that are not of type object"
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, Mapping) or not all(isinstance(one, Mapping | bool) for one in properties.values()):
        return "has properties that are no schemas"
    kinds = {kind for one in properties.values() if isinstance(one, Mapping) for kind in _kinds(one.get("type", []))}
    if not kinds <= _PRIMITIVE:
        return "has a property of a type that JSON schemas do not know"
    if not isinstance(required, list) or not all(isinstance(one, str) and one in properties for one in required):
        return "requires what is none of its properties"
    return ""


def _kinds(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _function(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the function's part of a tool, which some write without the wrapper around it."""
    function = tool.get("function", tool if "name" in tool else {})
    return function if isinstance(function, Mapping) else {}


def _extras(value: Mapping[str, Any], messages: Sequence[Any]) -> Iterator[Found]:
    weight, masks = value.get("weight", 1), value.get("masks", [])
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
        yield "extras", "weight is no number above 0"
    last = messages[-1].get("content") if messages and isinstance(messages[-1], Mapping) else ""
    longest = len(last) if isinstance(last, str) else 0
    if not _is_list(masks) or not all(_is_span(span, longest) for span in masks):
        yield "extras", "masks are no spans of the last answer"


def _is_span(span: Any, longest: int) -> bool:
    whole = isinstance(span, list) and [type(place) for place in span] == [int, int]
    return whole and 0 <= span[0] < span[1] <= longest


def secrets_of(value: Any) -> Iterator[Found]:
    """Yield the secret that a value holds, by its rule."""
    rule = find_secret_in(texts_of(value))
    if rule is not None:
        yield "secret", f"it holds a secret: {rule}"


def texts_of(value: Any) -> Iterator[str]:
    """Yield every text in a value, whatever it is nested in."""
    left = [value]
    while left:
        held = left.pop()
        if isinstance(held, str):
            yield held
        elif isinstance(held, Mapping):
            left += [*held.values(), *held]
        elif isinstance(held, list):
            left += held


def _words(message: Mapping[str, Any]) -> list[Any]:
    return [message.get("role"), " ".join((message.get("content") or "").split()), message.get("tool_calls") or []]


def _half(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _kind(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), "nothing")


def _short(text: str) -> str:
    """Return a foreign name as it can be told: not too long, and never a secret."""
    if find_secret_in([text]) is not None:
        return "a secret"
    return repr(text if len(text) <= 40 else text[:39] + "…")  # noqa: PLR2004 - what fits a line
