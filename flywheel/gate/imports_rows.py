"""What every importer shares: why a row is no problem, and a problem made from what a row says. Pure."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from flywheel.core.examples import prompt_key
from flywheel.core.outcomes import Message
from flywheel.core.verdicts import Problem
from flywheel.gate.problems import ProblemError, check_expected

MOST_TESTS = 100
TEST_BYTES = 1 << 20  # of one problem's tests together; larger ones are left out
_LONGEST_NAME = 80
_LONGEST_QUESTION = 200_000

READS_INPUT = (
    "Write a Python 3 program that reads from standard input and writes to standard output. Answer with one fenced"
    " block of Python that holds the whole program."
)
DEFINES = (
    "Write the Python 3 code that is asked for. Answer with one fenced block of Python that defines `{entry}` and"
    " holds everything it needs, imports included."
)


class RejectedError(Exception):
    """A row cannot become a problem; the reason is the same for all that fail alike, so that it can be counted."""


class Draft(NamedTuple):
    """What a row says, before it is a problem: the order goes to the system's message, so that questions compare."""

    id: str
    kind: str
    category: str
    group: str
    question: str
    order: str
    expected: dict[str, Any]
    time: datetime | None = None


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


def problem_from(draft: Draft) -> Problem:
    """Return the problem of a draft."""
    question = clean(draft.question).strip()
    if not question:
        raise RejectedError("nothing is asked")
    if len(question) > _LONGEST_QUESTION:
        raise RejectedError("the question is too long")
    messages = (Message(role="system", content=draft.order), Message(role="user", content=question))
    try:
        expected = check_expected(draft.kind, draft.expected)
    except ProblemError as error:
        raise RejectedError(_sort_of(str(error))) from error
    return Problem.model_validate({
        "id": name(draft.id), "kind": draft.kind, "category": name(draft.category) or "unknown",
        "group": name(draft.group) or name(draft.id), "messages": [one.model_dump() for one in messages],
        "expected": expected, "prompt_key": prompt_key(messages), "time": draft.time,
    })  # fmt: skip


def text(row: Mapping[str, Any], key: str) -> str:
    """Return a field that must be a text."""
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise RejectedError(f"no {key}")
    return value


def told(row: Mapping[str, Any], *keys: str) -> str:
    """Return the first of some fields that says something, as text; empty when none does."""
    for key in keys:
        value = row.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""


def read_json(value: Any, reason: str) -> Any:
    """Return what a field says that holds JSON, as text or already read."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise RejectedError(reason) from error


def lines(value: Any) -> str:
    """Return a test's text, which some files keep as a list of lines."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and all(isinstance(one, str) for one in value):
        return "\n".join(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise RejectedError("a test's input or output is no text")


def name(value: str) -> str:
    """Return a short name without what no file and no terminal takes."""
    kept = "".join(letter if letter.isprintable() else " " for letter in clean(value))
    return " ".join(kept.split())[:_LONGEST_NAME]


def clean(value: str) -> str:
    """Replace half characters."""
    return value.encode("utf-8", "replace").decode()


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _sort_of(error: str) -> str:
    """Return what is wrong without the number of the test it was found in."""
    if "not finite" in error or "no text" in error or "cannot say" in error or "too deep" in error:
        return "a value that JSON cannot hold"
    if "entry" in error:
        return "no function that can be called"
    return "no tests that can be used"
