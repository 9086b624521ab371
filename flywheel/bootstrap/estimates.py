"""What asking will cost: at most, by the bounds that would be set aside, and likely, by what was said so far."""

from collections.abc import Iterable
from typing import NamedTuple

from flywheel.bootstrap.questions import Question, bound_of, key_of, prompt_bytes
from flywheel.bootstrap.teacher_books import TeacherBook, Usage
from flywheel.bootstrap.teachers import Staff, Teacher

# Before a teacher has said anything: so many bytes make a token of English or code, and half the room is used.
_FIRST = Usage(bytes=4, prompt_tokens=1, completion_tokens=1, max_tokens=2)


class TeacherEstimate(NamedTuple):
    """What one teacher will be asked, and what that costs, in picos."""

    to_ask: int = 0
    likely: int = 0
    at_most: int = 0


class Estimate(NamedTuple):
    """What asking will cost, by teacher; `nobody` counts questions for whom no teacher stands there."""

    cached: int
    nobody: int
    teachers: dict[str, TeacherEstimate]

    @property
    def to_ask(self) -> int:
        """Return how many are to be asked."""
        return sum(one.to_ask for one in self.teachers.values())

    @property
    def likely(self) -> int:
        """Return what that will likely cost, in picos."""
        return sum(one.likely for one in self.teachers.values())

    @property
    def at_most(self) -> int:
        """Return what that costs at most, in picos."""
        return sum(one.at_most for one in self.teachers.values())


def foresee(staff: Staff, book: TeacherBook, questions: Iterable[Question]) -> Estimate:
    """Return what asking these would cost; the same question counts once."""
    cached = nobody = 0
    teachers: dict[str, TeacherEstimate] = {}
    seen: set[str] = set()
    for question in questions:
        teacher = staff.of(question.role)
        if teacher is None:
            nobody += 1
        elif (key := key_of(teacher, question)) in seen or book.answer(key) is not None:
            cached += 1
        else:
            seen.add(key)
            to_ask, likely, at_most = teachers.get(teacher.name, TeacherEstimate())
            likely += likely_cost(teacher, question, book.habit(teacher.name) or _FIRST)
            teachers[teacher.name] = TeacherEstimate(to_ask + 1, likely, at_most + bound_of(teacher, question))
    return Estimate(cached, nobody, teachers)


def likely_cost(teacher: Teacher, question: Question, habit: Usage) -> int:
    """Return what an answer will likely cost, by what a teacher's answers came to; in picos."""
    prompt = prompt_bytes(question) * habit.prompt_tokens // max(habit.bytes, 1)
    return teacher.cost(prompt, question.max_tokens * habit.completion_tokens // max(habit.max_tokens, 1))
