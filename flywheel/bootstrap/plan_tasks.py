"""The task that has mined changes planned with their reasoning, and believes a plan that fits what was done. Pure.

The teacher sees the order and the files there are, and not the change. The files that the change touched, and which of
them leans on which, are its test.
"""

import json
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from flywheel.bootstrap.line_makings import Held, makings_for
from flywheel.bootstrap.plan_answers import (
    INVENTS,
    NO_PLAN,
    Plan,
    Planned,
    invents_files,
    plan_fault,
    read_planned,
)
from flywheel.bootstrap.prompts import Prompt
from flywheel.bootstrap.questions import Question
from flywheel.bootstrap.strict_answers import AnswerError, read_answer
from flywheel.bootstrap.teacher_makings import FITS, MISSES_CHANGE, Teaching
from flywheel.bootstrap.teacher_tasks import Ask, Material, Subject, Task, Work, believed, refused
from flywheel.bootstrap.traces import trace_fault, with_trace
from flywheel.core.lines import Line
from flywheel.core.makings import Making, Recipe
from flywheel.core.outcomes import Message

CALL_TYPE = "execute_plan"
_WIDER = "task_analysis"
_FILES = "\n\nFiles:\n"
_MOST = 3000  # tokens
_TAKES = 2
_SYSTEM = (
    "You plan changes of code. First think in plain sentences, for a few paragraphs: what the task asks for, which of "
    "the files it touches and why, which of them leans on which, what could go wrong. No headings, tags or code there. "
    "Then give the plan as one JSON object in a ```json block, and nothing behind it: "
    '{"task_summary": "…", "parts": [{"id": "p1", "description": "…", "affected_files": ["…"], "depends_on": []}], '
    '"rationale": "…"}. Name files exactly as they are listed, those that have to change and no others; a part that '
    "others lean on comes before them, and `depends_on` says so."
)


class _Known(NamedTuple):
    """A mined change: its question, the files that were there, and the plan that it came to."""

    prompt: Prompt
    files: tuple[str, ...]
    truth: Plan


_MINED: tuple[Recipe, ...] = ("mine",)


def _subjects(material: Material) -> Iterator[Subject]:
    for held in makings_for(material, {CALL_TYPE}, _MINED):
        known = _known(material, held)
        if known is not None:
            yield Subject(f"{held.task}/{held.making.key}", known.prompt.digest, partial(_work, material.line, known))


def _known(material: Material, held: Held) -> _Known | None:
    """Return what there is to plan; None where the mined plan is of another form."""
    try:
        truth = read_answer(held.making.response, Plan)
    except AnswerError:
        return None
    prompt = Prompt.of(held)
    asked = prompt.messages[-1].content
    wider = next((one for one in material.shelf.makings(held.task) if one.call_type == _WIDER), None)
    files = _listed(asked) if wider is None else _listed(wider.messages[-1].content)
    if _FILES not in asked or not truth.files <= set(files):
        return None
    before, behind = asked.split(_FILES, 1)
    told = before + _FILES + "\n".join(files) + "".join(behind.partition("\n\n")[1:])
    messages = (*prompt.messages[:-1], Message(role="user", content=told))
    return _Known(prompt.model_copy(update={"messages": messages}), files, truth)


def _listed(asked: str) -> tuple[str, ...]:
    _, found, behind = asked.partition(_FILES)
    return tuple(behind.partition("\n\n")[0].split("\n")) if found else ()


def _work(line: Line, known: _Known) -> Work:
    teaching = Teaching(line, PLANS.name, known.prompt)
    missed: list[Making] = []
    fault = NO_PLAN
    for take in range(_TAKES):
        told = yield Ask((_question(known.prompt, take),))
        planned = read_planned(told.answer.text)
        if planned is None:
            continue
        fault = plan_fault(planned.plan, known.truth)
        if fault:
            missed.append(teaching.of(told.answer, (MISSES_CHANGE,), f"missed-{take}", _written(planned.plan)))
            continue
        fault = _reasoning_fault(planned, known)
        if not fault:
            response = with_trace(line, CALL_TYPE, planned.reasoning, _written(planned.plan))
            return believed(teaching.of(told.answer, (FITS,), response=response), *missed)
    return refused(fault, *missed)


def _reasoning_fault(planned: Planned, known: _Known) -> str:
    fault = trace_fault(planned.reasoning, _written(planned.plan))
    return fault or (INVENTS if invents_files(planned.reasoning, known.files) else "")


def _question(prompt: Prompt, take: int) -> Question:
    messages = (Message(role="system", content=_SYSTEM), *prompt.messages)
    return Question(role="thinking", messages=messages, max_tokens=_MOST, take=take, subject=prompt.subject)


def _written(plan: Plan) -> str:
    """Return a plan as the mined ones are written."""
    return json.dumps(plan.model_dump(mode="json"), indent=1, ensure_ascii=False)


def _suits(line: Line) -> bool:
    return line.planning or CALL_TYPE in line.select.call_types


PLANS = Task(
    "plans", "Plans with their reasoning, checked against the change that was really made.", _subjects, suits=_suits
)
