"""What every importer shares: why a row is no problem, and a problem made from what a row says. Pure."""

from datetime import datetime
from typing import Any, NamedTuple

from flywheel.core.examples import prompt_key
from flywheel.core.foreign_rows import BadRowError, clean, name
from flywheel.core.outcomes import Message
from flywheel.core.verdicts import Problem
from flywheel.gate.problems import ProblemError, check_expected

_LONGEST_QUESTION = 200_000


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


def problem_from(draft: Draft) -> Problem:
    """Return the problem of a draft."""
    question = clean(draft.question).strip()
    if not question:
        raise BadRowError("nothing is asked")
    if len(question) > _LONGEST_QUESTION:
        raise BadRowError("the question is too long")
    messages = (Message(role="system", content=draft.order), Message(role="user", content=question))
    try:
        expected = check_expected(draft.kind, draft.expected)
    except ProblemError as error:
        raise BadRowError(_sort_of(str(error))) from error
    return Problem.model_validate({
        "id": name(draft.id), "kind": draft.kind, "category": name(draft.category) or "unknown",
        "group": name(draft.group) or name(draft.id), "messages": [one.model_dump() for one in messages],
        "expected": expected, "prompt_key": prompt_key(messages), "time": draft.time,
    })  # fmt: skip


def _sort_of(error: str) -> str:
    """Return what is wrong without the number of the test it was found in."""
    if "not finite" in error or "no text" in error or "cannot say" in error or "too deep" in error:
        return "a value that JSON cannot hold"
    if "entry" in error:
        return "no function that can be called"
    return "no tests that can be used"
