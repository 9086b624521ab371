"""What teachers' answers become, and by which evidence they are believed. Pure.

| evidence | points | strength |
|---|---|---|
| `tests_passed` | for | 0.95, with a single test 0.9 |
| `tests_failed` | against | 0.95 |
| `plan_fits_change` | for | 0.85: it names what really changed, and nothing in front of what it leans on |
| `plan_misses_change` | against | 0.8 |
| `teachers_agree` | for | 0.8 |
| `judge_approves` | for | 0.7, 0.74, 0.78 with 8, 9, 10 of 10 |
| `judge_rejects` | against | 0.6 |
| `one_teacher` | for | 0.7: nobody looked at it |
| `teachers_disagree`, `not_judged`, `runs`, `trace_written` | nowhere | 0 |
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flywheel.bootstrap.prompts import Prompt
from flywheel.bootstrap.questions import Answer
from flywheel.core.lines import Line
from flywheel.core.makings import Making
from flywheel.core.outcomes import Signal

ONE_TEACHER = Signal(name="one_teacher", points=1, strength=0.7, note="one teacher said so; nobody looked at it")
AGREE = Signal(name="teachers_agree", points=1, strength=0.8, note="two teachers say the same")
DISAGREE = Signal(name="teachers_disagree", points=0, strength=0, note="waits for a judge or a test")
NOT_JUDGED = Signal(name="not_judged", points=0, strength=0, note="waits for a judge or a test")
RUNS = Signal(name="runs", points=0, strength=0, note="it runs; that says nothing of what it does")
REJECTED = Signal(name="judge_rejects", points=-1, strength=0.6)
FAILED = Signal(name="tests_failed", points=-1, strength=0.95, note="it fails a test in the sandbox")


FITS = Signal(name="plan_fits_change", points=1, strength=0.85, note="the same files, in an order that holds")
MISSES_CHANGE = Signal(name="plan_misses_change", points=-1, strength=0.8, note="other files, or in a wrong order")
TRACED = Signal(name="trace_written", points=0, strength=0, note="a teacher wrote the reasoning, not the answer")


_LEAST, _A_POINT, _FROM = 0.7, 0.04, 8


def approved(score: int) -> Signal:
    """Return the evidence of a judge who is content: less than that a project took the code, or that a test passed."""
    strength = round(_LEAST + _A_POINT * max(0, score - _FROM), 2)
    return Signal(name="judge_approves", points=1, strength=strength, note=f"{score} of 10")


class Teaching(NamedTuple):
    """What a line is taught: by a task, about a question."""

    line: Line
    task: str
    prompt: Prompt

    def of(
        self,
        answer: Answer,
        signals: Sequence[Signal],
        key: str = "answer",
        response: str | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> Making:
        """Return an answer as a making with its evidence; without a response it is what the teacher said."""
        prompt = self.prompt
        source = {"teacher": answer.teacher, "model": answer.model, "task": self.task}
        origin = {"of": prompt.origin} if prompt.origin else {}
        return Making(
            key=key,
            recipe="teach",
            origin="teacher",
            group=prompt.group,
            call_type=prompt.call_type,
            at=answer.at,
            model=answer.model,
            messages=prompt.messages,
            response=(answer.text if response is None else response).strip(),
            signals=tuple(signals),
            line=self.line.name,
            session=prompt.session,
            tags=prompt.tags,
            tools=prompt.tools,
            licence=prompt.licence,
            about={**prompt.about, **source, **origin, **(about or {})},
        )


def taught(
    prompt: Prompt, answer: Answer, signals: Sequence[Signal], line: Line, task: str, response: str | None = None
) -> Making:
    """Return an answer as the one making of a question."""
    return Teaching(line, task, prompt).of(answer, signals, response=response)
