"""What a task would ask, told by what was answered already; nothing is asked, run or written.

A subject is followed as far as the answers that are there lead: to the first round that nobody answered, or to a
program. What would be asked behind that, nobody can tell.
"""

from collections.abc import Iterator
from contextlib import closing

from flywheel.bootstrap.questions import Answer, Question, key_of
from flywheel.bootstrap.teacher_books import TeacherBook
from flywheel.bootstrap.teacher_tasks import Ask, Material, Subject, Task, Told
from flywheel.bootstrap.teachers import Staff
from flywheel.bootstrap.teachings import Extent, open_subjects


def rehearse(task: Task, material: Material, staff: Staff, book: TeacherBook, extent: Extent) -> Iterator[Question]:
    """Yield the questions that working on a task's subjects would begin with."""
    for subject in open_subjects(task, material, staff, extent):
        yield from _asked(subject, staff, book)


def _asked(subject: Subject, staff: Staff, book: TeacherBook) -> Iterator[Question]:
    with closing(subject.work()) as work:
        try:
            step = next(work)
            while isinstance(step, Ask):
                yield from step.questions
                answers = tuple(_known(one, staff, book) for one in step.questions)
                if not step.optional and None in answers:
                    return
                if any(_is_open(one, staff, book) for one in step.questions):
                    return
                step = work.send(Told(answers=answers))
        except StopIteration:
            return


def _is_open(question: Question, staff: Staff, book: TeacherBook) -> bool:
    teacher = staff.of(question.role)
    return teacher is not None and book.answer(key_of(teacher, question)) is None


def _known(question: Question, staff: Staff, book: TeacherBook) -> Answer | None:
    teacher = staff.of(question.role)
    found = book.answer(key_of(teacher, question)) if teacher is not None else None
    return found if found is not None and found.ended != "length" else None
