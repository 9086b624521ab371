"""Questions whose answers have a form, and the scores that a judge gives. What is not in its form is asked once more.

All forms are closed: a key more or less, a number outside its bounds, and it is no answer.
"""

from collections.abc import Generator
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

from pydantic import Field, StringConstraints

from flywheel.bootstrap.questions import Answer, Question
from flywheel.bootstrap.strict_answers import AnswerError, read_answer
from flywheel.bootstrap.teacher_tasks import Ask, End, Step, Told, refused, waiting
from flywheel.core.frozen import Frozen
from flywheel.core.outcomes import Message, Signal

HIGH = 8  # of 10: from here on a judge is content
LOW = 4  # of 10: up to here a judge is sure that it is wrong
NO_FORM = "the answer has not its form"
NO_JUDGEMENT = "the judge's answer has not its form"
SCORED_LOW = "the judge scores it low"
NO_JUDGE = "no teacher as judge"  # told before anything is paid for that only a judge could make good
_TAKES = 2

Score = Annotated[int, Field(ge=0, le=10)]
Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=600)]

Form = TypeVar("Form", bound=Frozen)


class Formed(NamedTuple, Generic[Form]):
    """An answer as it was said, and what it says."""

    answer: Answer
    said: Form


def in_form(question: Question, form: type[Form]) -> Generator[Step, Told, Formed[Form] | None]:
    """Ask, and ask once more where the answer is not in its form; nothing when the second one is not either."""
    for take in range(_TAKES):
        told = yield Ask((question.model_copy(update={"as_json": True, "take": question.take + take}),))
        try:
            return Formed(told.answer, read_answer(told.answer.text, form))
        except AnswerError:
            continue
    return None


class Scores(Frozen):
    """What a judge says of something, by some measures; the reason is for whoever reads it."""

    reason: Sentence

    @property
    def least(self) -> int:
        """Return the lowest score: one fault is enough."""
        return min(value for value in self.model_dump().values() if isinstance(value, int))


Scored = TypeVar("Scored", bound=Scores)


def approval(question: Question, form: type[Scored], writer: Answer) -> Generator[Step, Told, Formed[Scored] | End]:
    """Have something judged that was written: the judgement where it is high, or the end that it comes to."""
    judged = yield from in_form(question, form)
    if judged is None:
        return waiting(NO_JUDGEMENT)
    return judged if is_high(judged.said.least, writer, judged.answer) else refused(SCORED_LOW)


def is_high(score: int, writer: Answer, judge: Answer) -> bool:
    """Tell whether a score is high enough: who judges what it wrote itself has to be surer of it."""
    return score >= HIGH + (writer.teacher == judge.teacher)


def judged_signal(name: str, score: int) -> Signal:
    """Return what a high score says in favour, 0.7 to 0.78: less than that a project took the code."""
    return Signal(name=name, points=1, strength=round(0.7 + 0.04 * (score - HIGH), 2), note=f"scored {score} of 10")


def told_of(writer: Answer, judge: Answer, score: int) -> dict[str, Any]:
    """Return who wrote, who judged, and how that went, for what is made of it."""
    return {"teacher": writer.teacher, "model": writer.model, "judge": judge.teacher, "score": score}


def worded(system: str, *parts: str) -> tuple[Message, ...]:
    """Return a question's messages: what the teacher is, and the parts of what it is asked."""
    return Message(role="system", content=system), Message(role="user", content="\n\n".join(parts))


def shown(tag: str, text: str) -> str:
    """Return a text between tags that it does not hold itself, so that it cannot end them."""
    name = tag
    while f"</{name}>" in text:
        name = f"{name}_"
    return f"<{name}>\n{text}\n</{name}>"
