"""Tests of problems that somebody else wrote, in the one shape in which programs are judged here. Pure."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flywheel.core.foreign_rows import BadRowError, lines, read_json

MOST_TESTS = 100
TEST_BYTES = 1 << 20  # of one problem's tests together; larger ones are left out

READS_INPUT = (
    "Write a Python 3 program that reads from standard input and writes to standard output. Answer with one fenced"
    " block of Python that holds the whole program."
)
DEFINES = (
    "Write the Python 3 code that is asked for. Answer with one fenced block of Python that defines `{entry}` and"
    " holds everything it needs, imports included."
)


@dataclass
class Tests:
    """The tests of one problem as they are found; those that do not fit, or cannot be used, are counted."""

    kept: list[dict[str, Any]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    size: int = 0

    def add(self, test: dict[str, Any]) -> None:
        """Keep a test while there is room."""
        size = len(json.dumps(test))
        if len(self.kept) >= MOST_TESTS:
            self.left_out[f"more than {MOST_TESTS} of a problem"] += 1
        elif self.size + size > TEST_BYTES:
            self.left_out["larger than fits"] += 1
        else:
            self.kept.append(test)
            self.size += size


def add_pairs(held: Any, starter: str, tests: Tests) -> str:
    """Add the tests of two lists, inputs and outputs, in JSON or already read; return the function they call, if any.

    This is how APPS and TACO keep them. Where each output is a list of one value, as they write those of functions,
    that value is returned.
    """
    held = read_json(held or {}, "tests cannot be read")
    if not isinstance(held, dict) or not held.get("inputs"):
        raise BadRowError("no tests")
    given, wanted = held["inputs"], held.get("outputs")
    if not isinstance(given, list) or not isinstance(wanted, list) or len(given) != len(wanted):
        raise BadRowError("as many outputs as inputs are needed")
    entry = _entry(held, starter)
    for test in _calls(given, wanted) if entry else _texts(given, wanted):
        tests.add(test)
    return entry


def with_starter(question: str, starter: str) -> str:
    """Return a question with the code that an answer is to begin with."""
    return f"{question.rstrip()}\n\nBegin with this:\n```python\n{starter}\n```" if starter.strip() else question


def _entry(held: Mapping[str, Any], starter: str) -> str:
    name = held.get("fn_name")
    if name is None or name == "":
        return ""
    if not isinstance(name, str):
        raise BadRowError("no function that can be called")
    return f"Solution.{name}" if "class Solution" in starter else name


def _texts(given: list[Any], wanted: list[Any]) -> list[dict[str, Any]]:
    return [{"stdin": lines(one), "stdout": lines(other)} for one, other in zip(given, wanted, strict=True)]


def _calls(given: list[Any], wanted: list[Any]) -> list[dict[str, Any]]:
    if not all(isinstance(one, list) for one in given):
        raise BadRowError("a function's arguments are no list")
    wrapped = all(isinstance(one, list) and len(one) == 1 for one in wanted)
    return [
        {"args": one, "returns": other[0] if wrapped else other} for one, other in zip(given, wanted, strict=True)
    ]  # fmt: skip
