"""The tests that a fleet's program was run with, in the shape in which a suite's problems expect them. Pure.

A problem that was held out is judged by these: what a program prints for each input, or what a function returns.
"""

import json
from collections.abc import Mapping
from typing import Any

_OUTPUTS = ("expected_output", "expected", "output")
_MOST_BYTES = 1 << 20


def tests_of(context: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a program's tests; None when there are none, or one of them cannot be understood."""
    cases, name = context.get("test_cases"), context.get("function_name")
    if not isinstance(cases, list) or not cases or _size(cases) > _MOST_BYTES:
        return None
    made = [_call(case) if name else _io(case) for case in cases]
    kept = [test for test in made if test is not None]
    if len(kept) < len(made) or not (name is None or isinstance(name, str)):
        return None
    return {"entry": name, "tests": kept} if name else {"tests": kept}


def _size(cases: list[Any]) -> int:
    try:
        return len(json.dumps(cases))
    except RecursionError:
        return _MOST_BYTES + 1


def _io(case: object) -> dict[str, Any] | None:
    given, wanted = (_text(side) for side in _sides(case))
    return {"stdin": given, "stdout": wanted} if isinstance(given, str) and isinstance(wanted, str) else None


def _call(case: object) -> dict[str, Any] | None:
    """Return a call: of arguments by their names, or in their order; a text may hold either as JSON."""
    given, wanted = _sides(case)
    given = _read(given)
    if wanted is None:
        return None
    if isinstance(given, dict):
        return {"args": [], "kwargs": given, "returns": _read(wanted)}
    return {"args": given, "returns": _read(wanted)} if isinstance(given, list) else None


def _sides(case: object) -> tuple[Any, Any]:
    if not isinstance(case, Mapping) or "input" not in case:
        return None, None
    return case["input"], next((case[name] for name in _OUTPUTS if case.get(name) is not None), None)


def _text(value: object) -> object:
    """Return a number as it is printed; anything else as it is."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _read(value: object) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
