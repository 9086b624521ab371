"""From what a test's process left behind to its Run. Pure; the box and the double judge by the same words."""

import json
from typing import Any

from flywheel.core.frozen import Frozen
from flywheel.sandbox.programs import Ending, Limits, Run

_DETAIL = 500


class Told(Frozen):
    """What was seen of a test: `status` as a process returns it (None: its time was up), and its words."""

    status: int | None
    output: bytes = b""
    errors: bytes = b""
    word: bytes = b""
    seconds: float = 0.0
    too_much: bool = False


def ending_of(told: Told, limits: Limits, *, is_call: bool) -> Run:
    """Return the Run: what the test said of itself counts for its value and its error, never for how it ended."""
    ending, value, detail = _ended(told, limits, is_call=is_call)
    output = told.output[: limits.output_bytes].decode("utf-8", errors="replace")
    return Run(ending=ending, output=output, value=value, detail=detail[:_DETAIL], seconds=round(told.seconds, 6))


def _ended(told: Told, limits: Limits, *, is_call: bool) -> tuple[Ending, str | None, str]:
    if told.too_much or len(told.output) > limits.output_bytes or len(told.word) > limits.output_bytes:
        return Ending.TOO_MUCH, None, f"it said more than {limits.output_bytes} bytes"
    if told.status is None:
        return Ending.TIMED_OUT, None, f"it was not done after {limits.seconds:g} s"
    if told.status < 0:
        return Ending.DIED, None, f"it was ended by signal {-told.status}"
    return _by_its_own_word(told, told.status, is_call=is_call)


def _by_its_own_word(told: Told, status: int, *, is_call: bool) -> tuple[Ending, str | None, str]:
    word = _word(told.word)
    if isinstance(raised := word.get("raised"), str):
        return Ending.RAISED, None, raised
    if is_call:
        return _returned(word, told)
    if status:
        return Ending.RAISED, None, _last_line(told.errors or told.output) or f"it ended with status {status}"
    return Ending.FINISHED, None, ""


def _returned(word: dict[str, Any], told: Told) -> tuple[Ending, str | None, str]:
    value = word.get("value")
    if not isinstance(value, str) or not _is_json(value):
        return Ending.DIED, None, _last_line(told.errors) or "it ended without returning"
    return Ending.FINISHED, value, ""


def _word(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=float)  # a whole number may be longer than Python likes to read
    except (ValueError, RecursionError):
        return False
    return True


def _last_line(data: bytes) -> str:
    lines = data.decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
