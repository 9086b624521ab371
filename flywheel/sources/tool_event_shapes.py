"""The events of a tool-calling agent as they are accepted: the names of each field, and which are needed. Pure.

Every line of `{project}/{session}.jsonl` is one event. Fields that are not named here are left alone; a field that is
needed and missing makes the event refused by that field's name.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from flywheel.core.clocks import parse_time
from flywheel.core.outcomes import Message
from flywheel.sources.conversations import UnreadableError, name_of, question_from, text_of
from flywheel.sources.json_lines import Line

TOOL_CALL = "tool_call"
KINDS = frozenset(
    {
        TOOL_CALL, "domain_validation", "retry", "user_correction", "user_confirmation", "commit", "branch_merged",
        "branch_closed", "rollback",
    }
)  # fmt: skip

NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "event": ("event", "type", "event_type", "kind"),
        "at": ("at", "timestamp", "ts", "time", "created_at"),
        "call": ("call", "call_id", "tool_call_id"),
        "id": ("id", "call_id", "tool_call_id"),
        "messages": ("messages",),
        "prompt": ("prompt", "query", "user_prompt"),
        "response": ("response", "answer", "completion"),
        "calls": ("tool_calls", "calls"),
        "tool": ("tool", "tool_name", "name", "function"),
        "arguments": ("arguments", "args", "parameters", "input"),
        "tools": ("tools", "tools_offered", "tool_schemas"),
        "model": ("model", "model_name"),
        "success": ("success", "ok", "succeeded"),
        "error": ("error",),
        "turn": ("turn", "turn_id"),
        "branch": ("branch", "branch_name"),
        "commit": ("commit", "sha", "commit_sha", "hash"),
        "reverts": ("reverts", "reverted_commit"),
        "valid": ("valid", "passed", "success", "ok"),
        "quality": ("quality", "quality_score", "score"),
        "message": ("message", "subject"),
    }
)
_REVERT_TRAILER = "This reverts commit "  # what `git revert` writes into the message


class ToolCallEvent(NamedTuple):
    """One answer that called tools, with the conversation before it."""

    line: int
    id: str
    at: datetime
    messages: tuple[Message, ...]
    response: str
    tools: tuple[dict[str, Any], ...]
    model: str
    success: bool | None
    turn: str
    branch: str
    quality: float | None


class Mark(NamedTuple):
    """Any other event: what it says, about which call, branch or commit; empty names mean what came before it."""

    line: int
    kind: str
    at: datetime | None
    call: str
    branch: str
    commit: str
    good: bool | None = None
    quality: float | None = None


def event_of(line: Line) -> ToolCallEvent | Mark | None:
    """Return the event, None for one of a kind nobody knows; raises UnreadableError by the name of what is wrong."""
    kind = _text(_field(line.value, "event"))
    if not kind:
        raise UnreadableError("no-event", "it does not say which event it is (event)")
    if kind not in KINDS:
        return None
    return _tool_call(line) if kind == TOOL_CALL else _mark(line, kind)


def _tool_call(line: Line) -> ToolCallEvent:
    value = line.value
    at = parse_time(_field(value, "at"))
    if at is None:
        raise UnreadableError("no-time", "it does not say when (at)")
    messages, prompt = _field(value, "messages"), _field(value, "prompt")
    if messages is None and prompt is None:
        raise UnreadableError("no-question", "it does not say what was asked (messages or prompt)")
    return ToolCallEvent(
        line=line.number,
        id=_name(value, "id"),
        at=at,
        messages=question_from(prompt, messages),
        response=_answer(value),
        tools=_tools(_field(value, "tools")),
        model=_name(value, "model"),
        success=False if _field(value, "error") else _flag(_field(value, "success")),
        turn=_name(value, "turn"),
        branch=_name(value, "branch"),
        quality=_share(_field(value, "quality")),
    )


def _mark(line: Line, kind: str) -> Mark:
    value = line.value
    commit, reverts = _name(value, "commit"), _reverted(value) if kind == "commit" else ""
    good = _flag(_field(value, "valid"))
    quality = _share(_field(value, "quality"))
    if kind == "domain_validation" and good is None and quality is None:
        raise UnreadableError("no-verdict", "it does not say whether it was valid (valid or quality)")
    return Mark(
        line=line.number,
        kind="rollback" if reverts else kind,
        at=parse_time(_field(value, "at")),
        call=_name(value, "call"),
        branch=_name(value, "branch"),
        commit=reverts or commit,
        good=good,
        quality=quality,
    )


def _answer(value: Mapping[str, Any]) -> str:
    """Return what the model said, with its calls written the way chat templates write them."""
    said = text_of(_field(value, "response"), "response") if _field(value, "response") is not None else ""
    calls = _field(value, "calls")
    if not isinstance(calls, list):
        tool = _field(value, "tool")
        calls = [] if tool is None else [{"name": tool, "arguments": _field(value, "arguments")}]
    written = [] if "<tool_call>" in said else [_written(call) for call in calls]
    if not said and not written:
        raise UnreadableError("no-answer", "it does not say what was answered (tool, tool_calls or response)")
    return "\n".join(part for part in (said, *written) if part)


def _written(call: object) -> str:
    function = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        function = call if isinstance(call, Mapping) else {}
    name, arguments = _field(function, "tool"), _field(function, "arguments")
    if not isinstance(name, str) or not name.strip():
        raise UnreadableError("no-tool", "a tool call has no name (tool)")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            raise UnreadableError("not-json", "a tool call's arguments are not JSON") from None
    if not isinstance(arguments, Mapping | None):
        raise UnreadableError("wrong-type", "a tool call's arguments are not an object")
    text = json.dumps({"name": name, "arguments": arguments or {}}, ensure_ascii=False)
    return f"<tool_call>\n{text_of(text, 'a tool call')}\n</tool_call>"


def _tools(value: object) -> tuple[dict[str, Any], ...]:
    """Return the schemas that were offered; a list of bare names says too little to be one."""
    tools = tuple(tool for tool in value if isinstance(tool, dict)) if isinstance(value, list) else ()
    text_of(json.dumps(tools, ensure_ascii=False), "tools")
    return tools


def _reverted(value: Mapping[str, Any]) -> str:
    """Return the commit that a commit takes back, by its own field or by the line git writes."""
    if named := _name(value, "reverts"):
        return named
    _, mark, rest = _text(_field(value, "message")).partition(_REVERT_TRAILER)
    return rest.split()[0].rstrip(".") if mark and rest.split() else ""


def _field(value: Mapping[str, Any], name: str) -> Any:
    return next((value[known] for known in NAMES[name] if value.get(known) is not None), None)


def _name(value: Mapping[str, Any], field: str) -> str:
    return name_of(_text(_field(value, field)), field)


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _share(value: object) -> float | None:
    """Return a number from 0 to 1, or nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return None
    return float(value)
