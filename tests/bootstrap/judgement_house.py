"""What the tests of judgements share: a teacher that says what it is told to, without an engine."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flywheel.bootstrap.questions import Answer, Question
from flywheel.bootstrap.shelves import Shelf
from flywheel.bootstrap.teacher_tasks import Ask, End, Material, Subject, Told, Work
from flywheel.core.lines import Line, Select

MOMENT = datetime(2026, 5, 1, tzinfo=UTC)
ALL = frozenset({"primary", "thinking", "coder", "judge", "student"})
TEACHERS = {"primary": "large", "thinking": "large", "coder": "large", "judge": "judge", "student": "own"}


def said(role: str, text: str) -> Answer:
    """An answer of whoever has a role."""
    return Answer(teacher=TEACHERS[role], model=f"{TEACHERS[role]}-1", at=MOMENT, text=text)


def drive(work: Work, answers: dict[str, Any], asked: list[Question] | None = None) -> End:
    """What a work comes to when each role says these things in turn, as JSON where they are no text; None is nobody."""
    left = {role: list(texts) for role, texts in answers.items()}
    told: Told | None = None
    while True:
        try:
            step = work.send(told)  # type: ignore[arg-type]
        except StopIteration as end:
            return end.value
        assert isinstance(step, Ask)
        if asked is not None:
            asked += step.questions
        told = Told(tuple(_next(left, question.role, step) for question in step.questions))


def _next(left: dict[str, list[Any]], role: str, step: Ask) -> Answer | None:
    told = left[role].pop(0)
    if told is None:
        assert step.optional
        return None
    return said(role, told if isinstance(told, str) else json.dumps(told))


def line(*call_types: str, tags: tuple[str, ...] = (), **fields: Any) -> Line:
    """A line that takes these."""
    return Line(
        **{"name": "own", "why": "w", "base": "main", "select": Select(call_types=call_types, tags=tags), **fields}
    )


@contextmanager
def material(home: Path, of: Line, **fields: Any) -> Iterator[Material]:
    """What a task is given, with an open shelf."""
    with Shelf(home / "bootstrap.db") as shelf:
        yield Material(**{"line": of, "home": home, "shelf": shelf, "roles": ALL, **fields})


def ends(subjects: Iterator[Subject], answer: Callable[[Subject], dict[str, Any]]) -> dict[str, End]:
    """What each subject comes to."""
    return {subject.key: drive(subject.work(), answer(subject)) for subject in list(subjects)}
