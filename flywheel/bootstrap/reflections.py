"""Judgements of scope and precision with what speaks for and against them: asked blind, believed by what was changed.

The teacher does not see what the commit says. A judgement is believed when it says the same, and when its evidence
stands word for word in the question: then it is a reason, and not a story made up behind a verdict.
"""

import json
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from flywheel.bootstrap.formed_answers import NO_FORM, Formed, Sentence, in_form
from flywheel.bootstrap.line_makings import Held, makings_for
from flywheel.bootstrap.prompts import Prompt
from flywheel.bootstrap.questions import Question
from flywheel.bootstrap.teacher_makings import Teaching
from flywheel.bootstrap.teacher_tasks import Material, Subject, Task, Work, believed, refused
from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.lines import Line
from flywheel.core.makings import Making
from flywheel.core.outcomes import Message, Signal

CALL_TYPES = ("scope", "precision")
_NAME = "reflections"
OTHERWISE = "the teacher judges otherwise than what was changed"
INVENTED = "its evidence does not stand in the question"
ONE_SIDED = "it says the same for and against"
AGREES = Signal(
    name="agrees_with_change", points=1, strength=0.85, note="the teacher judged blind, and as the change shows"
)

_SHORT = "Answer yes or no."
_LONG = (
    "Weigh it before you decide. Answer with one JSON object and nothing else: "
    '{"evidence": ["one to four short quotes, word for word from above"], '
    '"speaks_for": "why the answer may be yes, in one sentence", '
    '"speaks_against": "why it may be no, in one sentence", "verdict": "yes or no"}.'
)
_YES_OR_NO = frozenset({"yes", "no"})

Quote = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=300)]


class Reflection(Frozen):
    """A judgement with its reasons."""

    evidence: tuple[Quote, ...] = Field(min_length=1, max_length=4)
    speaks_for: Sentence
    speaks_against: Sentence
    verdict: Literal["yes", "no"]


def reject(said: Reflection, asked: str, truth: str) -> str:
    """Return why a judgement is not believed; nothing when it is."""
    told = _fold(asked)
    if any(_fold(quote) not in told for quote in said.evidence):
        return INVENTED
    if _fold(said.speaks_for).casefold() == _fold(said.speaks_against).casefold():
        return ONE_SIDED
    return "" if said.verdict == truth else OTHERWISE


def reflecting(making: Making) -> tuple[Message, ...]:
    """Return the question of a making, asked so that it is weighed."""
    *before, last = making.messages
    asked = last.content.removesuffix(_SHORT).rstrip()
    return *before, Message(role=last.role, content=f"{asked}\n\n{_LONG}")


def rendered(said: Reflection) -> str:
    """Return a judgement as it is learned: the reasons before the verdict."""
    return json.dumps(said.model_dump(mode="json"), ensure_ascii=False, indent=1)


def _work(held: Held, line: Line) -> Work:
    making = held.making
    messages = reflecting(making)
    question = Question(role="thinking", messages=messages, max_tokens=1024, subject=making.group)
    judged = yield from in_form(question, Reflection)
    if judged is None:
        return refused(NO_FORM)
    if reason := reject(judged.said, making.messages[-1].content, making.response):
        return refused(reason)
    return believed(_making(held, judged, line))


def _making(held: Held, judged: Formed[Reflection], line: Line) -> Making:
    prompt = Prompt.of(held).model_copy(update={"messages": reflecting(held.making)})
    made = Teaching(line, _NAME, prompt).of(judged.answer, (AGREES,), held.making.key, rendered(judged.said))
    return made.model_copy(update={"weight": held.making.weight})


def _subjects(material: Material) -> Iterator[Subject]:
    for held in makings_for(material, CALL_TYPES):
        making = held.making
        if making.response in _YES_OR_NO and making.messages[-1].role == "user":
            digest = content_hash([[one.content for one in making.messages], making.response])
            yield Subject(f"{held.task}/{making.key}", digest, partial(_work, held, material.line))


def _suits(line: Line) -> bool:
    return not set(CALL_TYPES).isdisjoint(line.select.call_types)


def _fold(text: str) -> str:
    return " ".join(text.split())


_WHY = "What speaks for and against a file or symbol, kept where the change bears it out."
REFLECTIONS = Task(_NAME, _WHY, _subjects, suits=_suits)
