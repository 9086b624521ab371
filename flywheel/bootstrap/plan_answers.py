"""A plan as a teacher writes it: reasoning, then JSON. Read strictly, and compared with what was changed. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field, StringConstraints

from flywheel.bootstrap.strict_answers import AnswerError, read_answer
from flywheel.core.frozen import Frozen
from flywheel.core.thoughts import after_thoughts

NO_PLAN = "no plan in the form that was asked for"
CIRCLE = "its parts wait for each other"
MISSES = "it misses a file that was changed"
BEYOND = "it changes a file that was left alone"
BACKWARDS = "it works in front of what it leans on"
INVENTS = "its reasoning speaks of a file that there is not"
_FENCE = re.compile(r"^```(?:json)?[ \t]*\n", re.MULTILINE)
_OBJECT = re.compile(r"^\{", re.MULTILINE)
_FILE = re.compile(r"(?<![\w/.-])[\w.-]+(?:/[\w.-]+)+\.[a-z]{1,5}\b")

_MOST_BEGINS = 8  # places where the plan may begin; who writes more objects than that wrote no plan

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class Part(Frozen):
    """One step of a plan."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    description: Text
    affected_files: tuple[Text, ...] = Field(min_length=1)
    depends_on: tuple[str, ...] = ()


class Plan(Frozen):
    """What is to be done, in order."""

    task_summary: Text
    parts: tuple[Part, ...] = Field(min_length=1, max_length=40)
    rationale: Text

    @property
    def files(self) -> frozenset[str]:
        """Return the files it changes."""
        return frozenset(name for part in self.parts for name in part.affected_files)


class Planned(NamedTuple):
    """A plan with the reasoning before it."""

    reasoning: str
    plan: Plan


def read_planned(text: str) -> Planned | None:
    """Return the plan that an answer ends with, and what stands before it; None where it does not end with one."""
    said = after_thoughts(text).strip()
    begins = [found.start() for pattern in (_FENCE, _OBJECT) for found in pattern.finditer(said)]
    for begin in sorted(begins)[:_MOST_BEGINS]:
        try:
            return Planned(said[:begin].strip(), read_answer(said[begin:], Plan))
        except AnswerError:
            continue
    return None


def order_of(plan: Plan) -> list[Part] | None:
    """Return the parts so that each comes behind those it waits for, and else as they stand; None in a circle."""
    known = {part.id for part in plan.parts}
    if len(known) != len(plan.parts) or any(not known.issuperset(part.depends_on) for part in plan.parts):
        return None
    done: list[Part] = []
    left = list(plan.parts)
    while left:
        ids = {part.id for part in done}
        free = next((part for part in left if ids.issuperset(part.depends_on)), None)
        if free is None:
            return None
        done.append(free)
        left.remove(free)
    return done


def plan_fault(plan: Plan, truth: Plan) -> str:
    """Return how a plan differs from what was done; nothing where it names the same files in an order that holds."""
    order = order_of(plan)
    if order is None:
        return CIRCLE
    if truth.files - plan.files:
        return MISSES
    if plan.files - truth.files:
        return BEYOND
    return BACKWARDS if _is_backwards(order, truth) else ""


def invents_files(reasoning: str, known: Sequence[str]) -> bool:
    """Tell whether reasoning names a file by its path that nobody showed."""
    return any(not any(one == name or one.endswith(f"/{name}") for one in known) for name in _FILE.findall(reasoning))


def _is_backwards(order: Sequence[Part], truth: Plan) -> bool:
    """Tell whether a file is first changed in front of one that it leans on."""
    place: dict[str, int] = {}
    for number, part in enumerate(order):
        for name in part.affected_files:
            place.setdefault(name, number)
    files: Mapping[str, tuple[str, ...]] = {part.id: part.affected_files for part in truth.parts}
    return any(
        place[name] < place[other]
        for part in truth.parts
        for before in part.depends_on
        for other in files[before]
        for name in part.affected_files
    )
