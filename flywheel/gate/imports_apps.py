"""Rows in the shape of APPS: a question, and its tests as two lists in JSON. Pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flywheel.core.clocks import parse_time
from flywheel.core.verdicts import Problem
from flywheel.gate.imports_livecodebench import with_starter
from flywheel.gate.imports_rows import (
    DEFINES,
    READS_INPUT,
    Draft,
    RejectedError,
    Tests,
    lines,
    problem_from,
    read_json,
    text,
    told,
)

KEYS = frozenset({"question", "input_output"})
_CONTESTS = ("contest", "contests", "problemset", "gym")


def read_row(row: Mapping[str, Any], tests: Tests) -> Problem:
    """Return the problem of a row; one with a function's name is judged by what that returns."""
    question = text(row, "question")
    held = read_json(row.get("input_output") or {}, "tests cannot be read")
    if not isinstance(held, dict) or not held.get("inputs"):
        raise RejectedError("no tests")
    given, wanted = held["inputs"], held.get("outputs")
    if not isinstance(given, list) or not isinstance(wanted, list) or len(given) != len(wanted):
        raise RejectedError("as many outputs as inputs are needed")
    entry = _entry(held, str(row.get("starter_code") or ""))
    for test in _calls(given, wanted) if entry else _texts(given, wanted):
        tests.add(test)
    identity = told(row, "problem_id", "id", "url", "name") or "unnamed"
    return problem_from(Draft(
        id=f"apps/{identity}", kind="code_calls" if entry else "code_io", category=told(row, "difficulty", "source"),
        group=_contest(told(row, "url")) or f"apps/{identity}", time=parse_time(row.get("date")),
        question=with_starter(question, str(row.get("starter_code") or "").rstrip()),
        order=DEFINES.format(entry=entry) if entry else READS_INPUT,
        expected={"language": "python", **({"entry": entry} if entry else {}), "tests": tests.kept},
    ))  # fmt: skip


def _entry(held: Mapping[str, Any], starter: str) -> str:
    name = held.get("fn_name")
    if name is None or name == "":
        return ""
    if not isinstance(name, str):
        raise RejectedError("no function that can be called")
    return f"Solution.{name}" if "class Solution" in starter else name


def _texts(given: list[Any], wanted: list[Any]) -> list[dict[str, Any]]:
    return [{"stdin": lines(one), "stdout": lines(other)} for one, other in zip(given, wanted, strict=True)]


def _calls(given: list[Any], wanted: list[Any]) -> list[dict[str, Any]]:
    """Return calls; where each output is a list of one value, as the data set writes them, that value is returned."""
    if not all(isinstance(one, list) for one in given):
        raise RejectedError("a function's arguments are no list")
    wrapped = all(isinstance(one, list) and len(one) == 1 for one in wanted)
    return [
        {"args": one, "returns": other[0] if wrapped else other} for one, other in zip(given, wanted, strict=True)
    ]  # fmt: skip


def _contest(url: str) -> str:
    """Return the contest that a problem's address names; empty where it names none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    steps = [step for step in parts.path.split("/") if step]
    for place, step in enumerate(steps):
        if step in _CONTESTS:
            following = [one for one in steps[place + 1 :] if one != "problem"]
            return f"{parts.netloc}/{following[0]}" if following else ""
    return ""
