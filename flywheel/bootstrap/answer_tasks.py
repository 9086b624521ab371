"""The task that completes a line's questions: those on the shelf without a good answer, and those of files. Pure."""

from collections.abc import Iterator
from functools import partial

from flywheel.bootstrap.answer_checks import Case, answered
from flywheel.bootstrap.answer_forms import question_of
from flywheel.bootstrap.line_makings import is_sure, makings_for
from flywheel.bootstrap.prompt_files import NOT_READ, prompts_in
from flywheel.bootstrap.prompts import Prompt
from flywheel.bootstrap.teacher_makings import Teaching
from flywheel.bootstrap.teacher_tasks import Material, Subject, Task, Work, refused


def _subjects(material: Material) -> Iterator[Subject]:
    """Yield each question once, whatever it comes from."""
    answered_well = {Prompt.of(held).key for held in makings_for(material) if is_sure(material.line, held.making)}
    seen: set[str] = set()
    for prompt in _prompts(material):
        key = prompt.key if isinstance(prompt, Prompt) else f"row/{prompt}"
        if key in answered_well or key in seen:
            continue
        seen.add(key)
        if isinstance(prompt, Prompt):
            yield Subject(key, prompt.digest, partial(_work, material, prompt))
        else:
            yield Subject(key, "", _no_question)


def _prompts(material: Material) -> Iterator[Prompt | str]:
    for path in material.files:
        if not path.is_dir():  # a clone, for orders
            yield from prompts_in(path, material.line)
    for held in makings_for(material):
        yield Prompt.of(held)


def _work(material: Material, prompt: Prompt) -> Work:
    case = Case(question_of(material.line, prompt), Teaching(material.line, ANSWERS.name, prompt), material.roles)
    return (yield from answered(case))


def _no_question() -> Work:
    yield from ()
    return refused(NOT_READ)


ANSWERS = Task("answers", "Answers to the line's questions that have no good one yet.", _subjects)
