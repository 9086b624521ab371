"""JSON values read and compared outside of whatever made them: `true` is not 1, floats are equal nearly. Pure."""

import json
import math
import re
from typing import Any

RELATIVE, ABSOLUTE = 1e-9, 1e-12
_DEEPEST = 200  # what nests deeper is no answer, and would exhaust the stack of whoever compares or prints it
_LONGEST = 80
_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)


def read_json(text: str) -> tuple[bool, Any]:
    """Return whether a text is JSON, and its value; never raises."""
    if _depth(text) > _DEEPEST:
        return False, None
    try:
        return True, json.loads(text)
    except (ValueError, RecursionError):
        return False, None


def equal(wanted: Any, seen: Any) -> bool:
    """Tell whether two JSON values are equal: 1 is 1.0, `true` is not 1, and floats differ by at most 1e-9 of them."""
    if isinstance(wanted, bool) or isinstance(seen, bool):
        return wanted is seen
    if isinstance(wanted, dict) and isinstance(seen, dict):
        return wanted.keys() == seen.keys() and all(equal(value, seen[key]) for key, value in wanted.items())
    if isinstance(wanted, list | tuple) and isinstance(seen, list | tuple):
        return len(wanted) == len(seen) and all(equal(a, b) for a, b in zip(wanted, seen, strict=True))
    if isinstance(wanted, float) or isinstance(seen, float):
        return near(wanted, seen, RELATIVE, ABSOLUTE)
    return bool(wanted == seen)


def near(wanted: Any, seen: Any, relative: float, absolute: float) -> bool:
    """Tell whether two numbers are nearly equal; what is no number is near nothing."""
    if not isinstance(wanted, int | float) or not isinstance(seen, int | float):
        return False
    try:
        return math.isclose(wanted, seen, rel_tol=relative, abs_tol=absolute)
    except OverflowError:  # an integer beyond every float
        return wanted == seen


def shown(value: Any) -> str:
    """Return a value as people read it, cut to a line."""
    told = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    return told if len(told) <= _LONGEST else told[: _LONGEST - 1] + "…"


def _depth(text: str) -> int:
    deepest = depth = 0
    for bracket in re.findall(r"[\[\]{}]", _TEXTS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
