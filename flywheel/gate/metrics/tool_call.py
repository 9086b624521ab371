"""Right is: the same calls, in the same order, with equal arguments, and no call more."""

from collections.abc import Callable, Sequence
from typing import Any

from flywheel.core.json_values import read_json
from flywheel.core.thoughts import after_thoughts
from flywheel.core.tool_calls import ToolCall, call_from, parse_tool_calls
from flywheel.gate.metrics.scores import Expectation, Score

Alike = Callable[[Any, Any], bool]

SEVERAL = "multi-tool"
BARE = "bare json"  # how some models write calls; no agent that reads this text calls anything
_LONGEST = 200
_TEXTS = ("function", "bare function")  # formats whose arguments are texts, whatever the tool takes


class ToolCallMetric:
    """Scores 1 when names and arguments are equal, else 0 with the first difference."""

    name = "tool_call"

    def expect(self, answer: str) -> Expectation | None:
        """Return the calls of a held-out answer; None when it calls nothing."""
        parsed = parse_tool_calls(answer)
        if not parsed.calls:
            return None
        names = {call.name for call in parsed.calls}
        expected = [{"name": call.name, "arguments": call.arguments} for call in parsed.calls]
        return Expectation(expected, names.pop() if len(names) == 1 else SEVERAL, parsed.format)

    def score(self, expected: Any, text: str, native: Sequence[Any] = ()) -> Score:
        """Compare what was called with what was expected."""
        parsed = parse_tool_calls(text, native)
        if parsed.format == "malformed":
            return Score(0.0, "a tool call was begun and cannot be read", parsed.format, unusable=True)
        if not parsed.calls and not text.strip():
            return Score(0.0, "the answer is empty", parsed.format, unusable=True)
        detail = _difference(expected, parsed.calls, same if parsed.format not in _TEXTS else spelled)
        written = BARE if parsed.format == "none" and _is_bare(text) else parsed.format
        return Score(0.0 if detail else 1.0, detail, written)


def same(left: Any, right: Any) -> bool:
    """Tell whether two JSON values are equal; unlike Python, `true` is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)


def spelled(wanted: Any, seen: Any) -> bool:
    """Tell whether arguments that came as texts spell the wanted ones, as servers read them by the tool's schema."""
    if isinstance(wanted, dict) and isinstance(seen, dict):
        return wanted.keys() == seen.keys() and all(spelled(value, seen[key]) for key, value in wanted.items())
    if isinstance(wanted, str) or not isinstance(seen, str):
        return same(wanted, seen)
    told = seen.strip()
    readable, value = read_json(told.lower() if isinstance(wanted, bool) or wanted is None else told)
    return readable and same(wanted, value)


def _is_bare(text: str) -> bool:
    """Tell whether an answer is nothing but a JSON object that would be a call between tags."""
    readable, value = read_json(after_thoughts(text).strip())
    return readable and call_from(value) is not None and not {"arguments", "parameters"}.isdisjoint(value)


def _difference(expected: Sequence[dict[str, Any]], calls: Sequence[ToolCall], alike: Alike) -> str:
    if not calls:
        return f"called nothing, expected {_names(expected)}"
    for number, (wanted, call) in enumerate(zip(expected, calls, strict=False), 1):
        if call.name != wanted["name"]:
            return f"call {number} is {call.name}, expected {wanted['name']}"[:_LONGEST]
        if not alike(wanted["arguments"], call.arguments):
            told = _arguments(wanted["arguments"], call.arguments, alike)
            return f"call {number}, {call.name}: {told}"[:_LONGEST]
    if len(calls) != len(expected):
        return f"{len(calls)} calls, expected {len(expected)}"
    return ""


def _names(expected: Sequence[dict[str, Any]]) -> str:
    return ", ".join(call["name"] for call in expected)[:_LONGEST]


def _arguments(wanted: Any, seen: Any, alike: Alike) -> str:
    if not isinstance(wanted, dict) or not isinstance(seen, dict):
        return f"arguments are {seen!r}, expected {wanted!r}"
    for key in wanted:
        if key not in seen:
            return f"{key} is missing"
        if not alike(wanted[key], seen[key]):
            return f"{key} is {seen[key]!r}, expected {wanted[key]!r}"
    return f"{next(key for key in seen if key not in wanted)} was not asked for"
