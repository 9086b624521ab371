"""The task of teachers that judges what the line's own model said.

These are logged answers of which nobody knows whether they are right, and answers to the shelf's questions where the
settings say how the line's model is asked (`student`). Tests decide where there are any, then whether it runs, then a
judge.
"""

from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from flywheel.bootstrap.agreements import edited
from flywheel.bootstrap.answer_forms import fault_of, question_of
from flywheel.bootstrap.answer_tests import is_tested, proof_of, python_in, reading_of, runs_well
from flywheel.bootstrap.formed_answers import NO_JUDGE, NO_JUDGEMENT, in_form, is_high
from flywheel.bootstrap.line_makings import Held, is_sure, makings_for
from flywheel.bootstrap.prompts import Prompt
from flywheel.bootstrap.proofs import FAILS, SLOW
from flywheel.bootstrap.questions import Answer
from flywheel.bootstrap.rescorings import (
    DIFFERS,
    FAULTY,
    SAME_AGAIN,
    TOO_LONG,
    UNSURE,
    WRONG,
    Said,
    Verdict,
    correcting,
    is_content,
    is_low,
    is_too_long,
    judging,
    plainly,
    wrong_by,
)
from flywheel.bootstrap.teacher_makings import FAILED, Teaching, approved
from flywheel.bootstrap.teacher_tasks import (
    Ask,
    Material,
    Prove,
    Step,
    Subject,
    Task,
    Told,
    Try,
    Work,
    believed,
    refused,
    waiting,
)
from flywheel.core.ids import content_hash, split_served_name
from flywheel.core.lines import Line
from flywheel.core.makings import UNKNOWN_LICENCE, Making
from flywheel.core.outcomes import Label, Outcome, Signal
from flywheel.core.thoughts import after_thoughts
from flywheel.sandbox.programs import Program
from flywheel.store.outcomes import list_outcomes, outcome_by_key

KNOWN_BY_NOW = "the agent's own evidence came in"
UNPROVED = "its tests cannot be run here"
NOT_IN_FORM = "it is not in the form that was asked for"
DOES_NOT_RUN = "it does not run"
_NAME = "rescoring"
_MIXED = 2  # the rung from which on a line learns from its own answers
_A_PAGE = 200


class Own(NamedTuple):
    """An answer of the line's own model on its way to a judgement."""

    line: Line
    prompt: Prompt
    answer: Answer
    reference: str = ""

    @property
    def said(self) -> Said:
        """Return the words that are judged, without the thoughts before them."""
        prompt, text = self.prompt, after_thoughts(self.answer.text).strip()
        return Said(prompt.messages, prompt.tools, text, self.reference, prompt.subject)

    def found(self, signal: Signal, **about: Any) -> Making:
        """Return it with what was found of it: the model's own words, which ask for the rung where those count."""
        teaching = Teaching(self.line, _NAME, self.prompt)
        made = teaching.of(self.answer, (signal,), "own", self.said.answer, about)
        told = {name: value for name, value in made.about.items() if name != "teacher"}
        return made.model_copy(update={"origin": "harness", "about": told})

    def corrected(self, answer: Answer, signal: Signal, **about: Any) -> Making:
        """Return a teacher's better answer to the same question, so that both make a pair."""
        text = after_thoughts(answer.text).strip()
        return Teaching(self.line, _NAME, self.prompt).of(answer, (signal,), "corrected", text, about)


def _examined(own: Own) -> Work:
    """Find out whether an answer is right."""
    if is_too_long(own.said):
        return refused(TOO_LONG)
    if is_tested(own.prompt):
        return (yield from _proved(own))
    fault = yield from _fault(own.prompt, own.said.answer)
    return (yield from _mended(own, (fault,), own.found(FAULTY)) if fault else _judged(own))


def _proved(own: Own) -> Work:
    proof = proof_of(own.prompt, own.said.answer)
    if proof is None:
        return refused(WRONG, own.found(FAULTY))
    told = yield Prove(proof)
    if told.evidence is not None:
        return believed(own.found(told.evidence))
    if told.fault in {FAILS, SLOW}:
        return refused(WRONG, *((own.found(FAILED),) if told.fault == FAILS else ()))
    return waiting(UNPROVED)


def _judged(own: Own) -> Work:
    judged = yield from in_form(judging(own.said), Verdict)
    if judged is None:
        return waiting(NO_JUDGEMENT)
    verdict, judge = judged.said, judged.answer.teacher
    if is_content(verdict):
        return believed(own.found(approved(verdict.least), judge=judge))
    if not is_low(verdict):
        return waiting(UNSURE)
    return (yield from _mended(own, verdict.faults, own.found(wrong_by(verdict.least), judge=judge)))


def _mended(own: Own, faults: Sequence[str], bad: Making) -> Work:
    """Have a wrong answer written anew where nothing better is known; believed only when the judge is content."""
    if own.reference:
        return refused(WRONG, bad)
    role = question_of(own.line, own.prompt).role
    told = yield Ask((correcting(own.said, faults, role),), optional=True)
    better = told.answers[0]
    if better is None:
        return refused(WRONG, bad)
    again = own._replace(answer=better)
    if again.said.answer.split() == own.said.answer.split():
        return waiting(SAME_AGAIN)
    fault = yield from _fault(own.prompt, again.said.answer)
    judged = None if fault else (yield from in_form(judging(again.said), Verdict))
    if judged is None or not (is_content(judged.said) and is_high(judged.said.least, better, judged.answer)):
        return refused(WRONG, bad)
    signal = approved(judged.said.least)
    return believed(own.corrected(better, signal, judge=judged.answer.teacher, score=judged.said.least), bad)


def _fault(prompt: Prompt, text: str) -> Generator[Step, Told, str]:
    """Return what is wrong with an answer that needs no judge: its form, or that it does not run."""
    if not text or fault_of(prompt, text):
        return NOT_IN_FORM
    for program in _programs(prompt, text):
        told = yield Try(program)
        if not runs_well(told.runs):
            return DOES_NOT_RUN
    return ""


def _programs(prompt: Prompt, text: str) -> list[Program]:
    files = edited(prompt, text)
    if files is not None:
        program = reading_of(files)
        return [program] if program is not None else []
    code = python_in(prompt, text)
    return [Program(code=code)] if code is not None else []


def _logged(material: Material, outcome: Outcome) -> Work:
    if "judge" not in material.roles:
        return waiting(NO_JUDGE)
    return (yield from _examined(Own(material.line, _prompt(outcome), _answer(outcome))))


def _answer(outcome: Outcome) -> Answer:
    return Answer(teacher=answered_by(outcome), model=answered_by(outcome), at=outcome.at, text=outcome.response)


def answered_by(outcome: Outcome) -> str:
    """Return who gave an answer: as the gateway knows it, or else as it was logged."""
    return str(outcome.extra.get("answered_by") or outcome.model)


def _prompt(outcome: Outcome) -> Prompt:
    return Prompt(
        messages=outcome.messages,
        call_type=outcome.call_type,
        group=outcome.group,
        subject=outcome.group,
        session=outcome.session,
        tags=outcome.tags,
        tools=outcome.tools,
        licence=str(outcome.extra.get("licence") or UNKNOWN_LICENCE),
        about={"outcome": outcome.key, "source": outcome.source, "task_there": outcome.task, **_whose(outcome)},
    )


def _whose(outcome: Outcome) -> dict[str, bool]:
    """Return whether it is about a repository that is not the person's own: that holds for what is said of it, too."""
    return {"foreign": True} if outcome.extra.get("foreign") else {}


def _asked(material: Material, held: Held) -> Work:
    """Ask the line's model a question of the shelf, and judge what it says by the answer that is known to be good."""
    prompt = Prompt.of(held)
    question = question_of(material.line, prompt).model_copy(update={"role": "student"})
    told = yield Ask((question,))
    own = Own(material.line, prompt, told.answer, held.making.response.strip())
    plain = plainly(own.said)
    if plain is not None:
        return believed() if plain else refused(WRONG, own.found(DIFFERS))
    if "judge" not in material.roles and not is_tested(prompt):
        return waiting(NO_JUDGE)
    return (yield from _examined(own))


def is_own(line: Line, outcome: Outcome) -> bool:
    """Tell whether a line's model, or the base it is trained on, gave an answer that can be judged."""
    name = answered_by(outcome)
    served = split_served_name(name)
    of_line = served[0] == line.name if served else name in {line.name, line.base}
    return of_line and outcome.origin == "logged" and bool(outcome.response.strip())


def _subjects(material: Material) -> Iterator[Subject]:
    yield from _overtaken(material)
    for outcome in _unknown(material):
        yield Subject(f"logged/{outcome.key}", outcome.key, partial(_logged, material, outcome))
    if "student" in material.roles:
        for held in makings_for(material):
            if is_sure(material.line, held.making):
                digest = content_hash([Prompt.of(held).digest, held.making.response])
                yield Subject(f"asked/{held.task}/{held.making.key}", digest, partial(_asked, material, held))


def _overtaken(material: Material) -> Iterator[Subject]:
    """Yield what was judged and is known better by now: a judge's word does not stand beside the agent's evidence."""
    prefix = f"teach/{_NAME}/{material.line.name}/"
    if material.store is None:
        return
    for task in list(material.shelf.tasks(f"{prefix}logged/")):
        key = task.removeprefix(prefix)
        with material.store.read() as session:
            stored = outcome_by_key(session, key.removeprefix("logged/"))
        if stored is None or stored.outcome.labelled.label is not Label.UNKNOWN or _is_gone(stored.outcome):
            yield Subject(key, KNOWN_BY_NOW, _known_by_now)


def _known_by_now() -> Work:
    yield from ()
    return refused(KNOWN_BY_NOW)


def _unknown(material: Material) -> Iterator[Outcome]:
    """Yield the line's logged answers of which nobody knows whether they are right, newest first."""
    before: int | None = None
    while material.store is not None:
        with material.store.read() as session:
            line, label = material.line.name, Label.UNKNOWN.value
            page = list_outcomes(session, line=line, label=label, before=before, limit=_A_PAGE)
        yield from (one.outcome for one in page if is_own(material.line, one.outcome) and not _is_gone(one.outcome))
        if len(page) < _A_PAGE:
            return
        before = page[-1].seq


def _is_gone(outcome: Outcome) -> bool:
    return any(signal.name == "gone" for signal in outcome.labelled.signals)


def _suits(line: Line) -> bool:
    return line.rung >= _MIXED


RESCORING = Task(
    _NAME, "Judgements of what the line's own model said; what is wrong is corrected.", _subjects, suits=_suits
)
