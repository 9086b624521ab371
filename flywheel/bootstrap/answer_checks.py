"""What has to be so before a teacher's answer is believed. Pure.

Tests decide where there are any. Else two teachers have to agree, or a judge to be content; who disagrees waits for
one. Only words, never code, are taken from a single teacher, and count as no more than that.
"""

from collections.abc import Generator
from typing import NamedTuple

from flywheel.bootstrap.agreements import agree, edited
from flywheel.bootstrap.answer_forms import fault_of
from flywheel.bootstrap.answer_tests import (
    do_the_same,
    is_code,
    is_tested,
    probe_of,
    proof_of,
    python_in,
    reading_of,
    runs_well,
)
from flywheel.bootstrap.judged_answers import chosen, judged
from flywheel.bootstrap.proofs import FAILS, SLOW
from flywheel.bootstrap.questions import Answer, Question
from flywheel.bootstrap.teacher_makings import (
    AGREE,
    DISAGREE,
    FAILED,
    NOT_JUDGED,
    ONE_TEACHER,
    REJECTED,
    Teaching,
    approved,
)
from flywheel.bootstrap.teacher_tasks import Ask, End, Prove, Step, Told, Try, Work, believed, refused, waiting
from flywheel.bootstrap.teachers import Role
from flywheel.core.makings import Making
from flywheel.core.outcomes import Signal
from flywheel.core.thoughts import after_thoughts
from flywheel.sandbox.programs import Program

EMPTY = "an empty answer"
NO_FORM = "not in the form that was asked for"
NO_PROGRAM = "no program in the answer"
DOES_NOT_RUN = "it does not run"
FAILS_TESTS = "it fails its tests"
UNPROVED = "its tests cannot be run here"
DISAGREEMENT = "two teachers disagree"
UNJUDGED = "code without a test or a judge"
NOT_SURE = "the judge is not sure"
REJECTION = "the judge rejects it"
_FAILS = frozenset({FAILS, SLOW})


class Case(NamedTuple):
    """One question on its way to an answer: how it is asked, and who could be asked beside."""

    question: Question
    teaching: Teaching
    roles: frozenset[Role]

    @property
    def another(self) -> Question:
        """Return the question to somebody else; where there is nobody, once more to the same teacher."""
        change = {"role": "cross"} if "cross" in self.roles else {"take": self.question.take + 1}
        return self.question.model_copy(update=change)

    def unjudged(self, answer: Answer, why: Signal = NOT_JUDGED) -> Making:
        """Return an answer that teaches nobody yet."""
        return self.teaching.of(answer, (why,))


def answered(case: Case) -> Work:
    """Have a question answered, and find out whether the answer can be believed."""
    told = yield Ask((case.question,))
    answer = told.answer
    prompt = case.teaching.prompt
    if not after_thoughts(answer.text).strip():
        return refused(EMPTY)
    if is_tested(prompt):
        return (yield from _proved(case, answer))
    if fault_of(prompt, answer.text):
        return refused(NO_FORM)
    for program in _programs(case, answer):
        told = yield Try(program)
        if not runs_well(told.runs):
            return refused(DOES_NOT_RUN)
    if "cross" in case.roles:
        return (yield from _crossed(case, answer))
    return (yield from _judged(case, answer))


def _programs(case: Case, answer: Answer) -> list[Program]:
    """Return what shows whether code runs at all; of edits, whether the files can be parsed after them."""
    prompt = case.teaching.prompt
    files = edited(prompt, answer.text)
    if files is not None:
        program = reading_of(files)
        return [program] if program is not None else []
    code = python_in(prompt, answer.text)
    return [Program(code=code)] if code is not None else []


def _proved(case: Case, answer: Answer) -> Work:
    """Let the tests decide. Where a first answer fails, another may pass: both together say more than one."""
    signal, fault = yield from _evidence(case, answer)
    if signal is not None:
        return believed(case.teaching.of(answer, (signal,)))
    if fault not in {*_FAILS, NO_PROGRAM}:
        return waiting(UNPROVED, case.unjudged(answer))
    failed = (case.teaching.of(answer, (FAILED,), key="failed"),) if fault == FAILS else ()
    told = yield Ask((case.another,), optional=True)
    other = told.answers[0]
    signal = (yield from _evidence(case, other))[0] if other is not None else None
    if other is None or signal is None:
        return refused(FAILS_TESTS if fault in _FAILS else fault, *failed)
    return believed(case.teaching.of(other, (signal,)), *failed)


def _evidence(case: Case, answer: Answer) -> Generator[Step, Told, tuple[Signal | None, str]]:
    proof = proof_of(case.teaching.prompt, answer.text)
    if proof is None:
        return None, NO_PROGRAM
    told = yield Prove(proof)
    return told.evidence, told.fault


def _crossed(case: Case, answer: Answer) -> Work:
    """Hear a second teacher: who says the same confirms it, who says something else has to be judged."""
    told = yield Ask((case.another,), optional=True)
    other = told.answers[0]
    if other is None or not after_thoughts(other.text).strip():
        return (yield from _judged(case, answer))
    same = yield from _same(case, answer, other)
    if same:
        return believed(case.teaching.of(answer, (AGREE,), about={"agrees": other.teacher}))
    if "judge" in case.roles:
        return (yield from _chosen(case, (answer, other), differ=same is False))
    if same is False:
        return waiting(DISAGREEMENT, case.unjudged(answer, DISAGREE))
    return _taken(case, answer)


def _same(case: Case, one: Answer, other: Answer) -> Generator[Step, Told, bool | None]:
    """Tell whether two answers say the same: programs by what they do where the question has inputs."""
    prompt = case.teaching.prompt
    programs = [probe_of(prompt, answer.text) for answer in (one, other)]
    if programs[0] is None or programs[1] is None:
        return agree(prompt, one.text, other.text)
    first = yield Try(programs[0])
    second = yield Try(programs[1])
    return do_the_same(first.runs, second.runs)


def _chosen(case: Case, answers: tuple[Answer, Answer], *, differ: bool) -> Work:
    """Let a judge choose; of two answers that cannot both be right the other one is a bad example."""
    choice = yield from chosen(case.teaching.prompt, answers)
    if choice.best is None:
        return waiting(NOT_SURE, case.unjudged(answers[0], DISAGREE))
    about = {"judge": choice.judge, "score": choice.score}
    rejected = [case.teaching.of(one, (REJECTED,), f"rejected-{place}", about=about)
                for place, one in enumerate(answers) if differ and place != choice.best]  # fmt: skip
    if choice.best == "neither":
        return refused(REJECTION, *rejected)
    signal = approved(choice.score)
    return believed(case.teaching.of(answers[choice.best], (signal,), about=about), *rejected)


def _judged(case: Case, answer: Answer) -> Work:
    """Let a judge say whether it is right; words without a judge are one teacher's word."""
    if "judge" not in case.roles:
        return _taken(case, answer)
    told = yield from judged(case.teaching.prompt, answer)
    about = {"judge": told.judge, "score": told.score}
    if told.opinion == "right":
        return believed(case.teaching.of(answer, (approved(told.score),), about=about))
    if told.opinion == "wrong":
        return refused(REJECTION, case.teaching.of(answer, (REJECTED,), "rejected-0", about=about))
    return waiting(NOT_SURE, case.unjudged(answer))


def _taken(case: Case, answer: Answer) -> End:
    if is_code(case.teaching.prompt):
        return waiting(UNJUDGED, case.unjudged(answer))
    return believed(case.teaching.of(answer, (ONE_TEACHER,)))
