"""What problems of contests have in common: a question, tests, and solutions of which one that works is learned. Pure.

The question stands as a suite's problem asks it, so that a problem somebody examines on is found among these.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from flywheel.bootstrap.dataset_rows import Lesson, Proof, asked
from flywheel.core.domains import domain_of
from flywheel.core.foreign_rows import BadRowError, clean
from flywheel.core.foreign_tests import DEFINES, READS_INPUT, with_starter

CALL_TYPE = "code"
RIGHT, WRONG = "right", "wrong"
_MOST_TRIED = 5  # of a problem's solutions; where five fail, the tests are at fault
_LONGEST_QUESTION = 60_000
_LONGEST_PROGRAM = 30_000
_SECONDS, _MOST_SECONDS = 5.0, 20.0


class Contest(NamedTuple):
    """A problem as its row tells it; `group` is the contest it was set in."""

    question: str
    starter: str
    entry: str
    tests: Sequence[dict[str, Any]]
    solutions: Sequence[str]
    wrong: Sequence[str] = ()
    tags: Sequence[str] = ()
    group: str = ""
    at: datetime | None = None
    seconds: float = 0.0
    about: dict[str, Any] = {}  # noqa: RUF012 - read only


def lessons_of(problem: Contest) -> tuple[Lesson, ...]:
    """Return the solutions to be tried, those that dataset calls right and one that it calls wrong."""
    if not problem.question.strip():
        raise BadRowError("nothing is asked")
    if len(problem.question) > _LONGEST_QUESTION:
        raise BadRowError("the question is too long")
    if not problem.tests:
        raise BadRowError("no tests")
    right = _programs(problem.solutions)
    if not right:
        raise BadRowError("no solution in Python 3")
    known = set(right)
    wrong = [code for code in _programs(problem.wrong) if code not in known]
    # No language: who selects by that learns from an agent's work, and of two lines that select it none would.
    tags = (f"domain:{domain_of(problem.tags, problem.question)}",)
    tried = [(slot, number, code) for slot, codes in ((RIGHT, right), (WRONG, wrong))
             for number, code in enumerate(codes[:_MOST_TRIED], 1)]  # fmt: skip
    return tuple(_lesson(problem, code, slot, f"{slot}/{number}", tags) for slot, number, code in tried)


def _programs(codes: Sequence[str]) -> list[str]:
    """Return different programs, the shortest first: of two that work it is the plainer one more often."""
    told = dict.fromkeys(clean(code).replace("\r\n", "\n").strip() for code in codes)
    fitting = [code for code in told if code and len(code) <= _LONGEST_PROGRAM and "\0" not in code]
    return sorted(fitting, key=lambda code: (len(code), code))


def _lesson(problem: Contest, code: str, slot: str, key: str, tags: tuple[str, ...]) -> Lesson:
    tests: dict[str, Any] = {"tests": list(problem.tests)}
    if problem.entry:
        tests = {"entry": problem.entry, **tests}
    question = with_starter(clean(problem.question).strip(), clean(problem.starter).rstrip())
    seconds = min(max(_SECONDS, 2 * problem.seconds), _MOST_SECONDS)  # a judge's machine is another one than ours
    shows = "works" if slot == RIGHT else "fault"
    return Lesson(
        key=key,
        call_type=CALL_TYPE,
        messages=asked(question, DEFINES.format(entry=problem.entry) if problem.entry else READS_INPUT),
        response=f"```python\n{code}\n```",
        proof=Proof.model_validate({"program": code, "tests": tests, "seconds": seconds, "shows": shows}),
        slot=slot,
        group=problem.group,
        at=problem.at,
        tags=tags,
        about=dict(problem.about),
    )
