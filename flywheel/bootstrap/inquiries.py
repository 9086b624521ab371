"""Asking one question to its end: looked up, its bound set aside, asked, asked again, and the answer kept."""

import asyncio
import random
from collections.abc import Mapping
from typing import NamedTuple

from flywheel.bootstrap.pauses import pause_before
from flywheel.bootstrap.presences import Presence
from flywheel.bootstrap.questions import Answer, Problem, Question, Reply, bound_of, key_of, prompt_bytes, request_of
from flywheel.bootstrap.rests import Rest
from flywheel.bootstrap.teacher_answers import Said, Unsaid
from flywheel.bootstrap.teacher_books import Claim, Short, Taken, TeacherBook, Usage
from flywheel.bootstrap.teacher_calls import TeacherClient
from flywheel.bootstrap.teacher_gates import TeacherGate
from flywheel.bootstrap.teachers import Staff, Teacher
from flywheel.core.clocks import Clock
from flywheel.core.secrets import find_secret_in

_SPOILED = 3  # answers that are none, each of them paid: then the question is left alone
_SILENCES = 3  # calls that may have been charged for nothing: then the question is left for another time
_LOOK_SECONDS = 0.1


class Tools(NamedTuple):
    """What questions are asked with: the book, a client and a gate for each teacher, the run and its bound."""

    book: TeacherBook
    presence: Presence
    clients: Mapping[str, TeacherClient]
    gates: Mapping[str, TeacherGate]
    clock: Clock
    rest: Rest
    run: int
    budget: int | None
    chance: random.Random


class _Case(NamedTuple):
    question: Question
    teacher: Teacher
    key: str
    gate: TeacherGate

    def answered(self, answer: Answer, *, cached: bool) -> Reply:
        return Reply(question=self.question, answer=answer, cached=cached)

    def problem(self, problem: Problem, note: str) -> Reply:
        return Reply(question=self.question, problem=problem, note=f"{self.teacher.name}: {note}")


class Inquiries:
    """Asks questions one by one; many may be under way."""

    def __init__(self, staff: Staff, tools: Tools) -> None:
        """Take who is asked and what with."""
        self._staff, self._tools = staff, tools
        self._under_way = 0
        self._ended = asyncio.Event()

    async def ask(self, question: Question) -> Reply:
        """Return what came of a question; it never raises for what a teacher does."""
        teacher = self._staff.of(question.role)
        if teacher is None:
            return Reply(question=question, problem="no_teacher", note=f"the line has no teacher as {question.role}")
        case = _Case(question, teacher, key_of(teacher, question), self._tools.gates[teacher.name])
        if answer := self._tools.book.answer(case.key):
            return case.answered(answer, cached=True)
        if found := find_secret_in(message.content for message in question.messages):
            return case.problem("secret", f"not sent, it holds what looks like a secret ({found})")
        async with case.gate.turn:
            return await self._ask(case)

    async def _ask(self, case: _Case) -> Reply:
        silences, note = 0, ""
        for attempt in range(1, case.teacher.tries + 1):
            await case.gate.wait()
            held = await self._set_aside(case)
            if isinstance(held, Reply):
                return held
            heard = await self._call(case, held)
            if isinstance(heard, Reply):
                return heard
            note, silences = heard.note, silences + (heard.trouble == "silent")
            pause = pause_before(attempt, heard.retry_after, self._tools.chance.random())
            if silences >= _SILENCES or pause is None:
                break
            if heard.retry_after is not None:
                case.gate.leave_alone(heard.retry_after)
            if attempt < case.teacher.tries:
                await self._tools.rest(pause)
        case.gate.was_in_vain(note)
        return self._left_alone(case) or case.problem("unavailable", note)

    def _left_alone(self, case: _Case) -> Reply | None:
        """Return what is said instead of asking; None where it is to be asked."""
        times, note = self._tools.book.spoils(case.key, self._tools.run)
        if times >= _SPOILED:
            return case.problem("malformed", f"{times} times: {note}")
        if case.gate.shut_because:
            return case.problem(case.gate.shut_as, case.gate.shut_because)
        return case.problem("stopped", "it was not asked any more") if self._tools.rest.is_over else None

    async def _set_aside(self, case: _Case) -> Taken | Reply:
        while (instead := self._left_alone(case)) is None:
            match self._tools.book.claim(self._claim(case), self._tools.presence.name, self._tools.presence.is_at_work):
                case Taken() as held:
                    return held
                case Answer() as answer:
                    return case.answered(answer, cached=True)
                case Short(scope) if not self._under_way:
                    return case.problem("over_budget", f"the bound of {scope} leaves too little")
                case Short():
                    await self._ended.wait()  # what is under way costs less than was set aside for it
                case _:
                    await self._tools.rest(_LOOK_SECONDS)  # the same is being asked: its answer will be ours
        return instead

    def _claim(self, case: _Case) -> Claim:
        teacher, run, month = case.teacher, self._tools.run, f"{self._tools.clock.now():%Y-%m}"
        bounds = {
            f"run/{run}": self._tools.budget,
            f"run/{run}/{teacher.name}": teacher.run_picos,
            f"month/{month}/{teacher.name}": teacher.month_picos,
        }
        limits = {scope: bound for scope, bound in bounds.items() if bound is not None}
        return Claim(case.key, teacher.name, run, month, bound_of(teacher, case.question), limits)

    async def _call(self, case: _Case, held: Taken) -> Reply | Unsaid:
        """Ask once; what was set aside is settled, given back or lost, also when this is broken off."""
        self._under_way += 1
        booked = False
        try:
            mark = f"{case.key[:48]}-{self._tools.book.spoils(case.key, self._tools.run)[0]}"
            heard = await self._tools.clients[case.teacher.name].call(request_of(case.teacher, case.question), mark)
            booked = True
            return self._keep(case, held, heard) if isinstance(heard, Said) else self._miss(case, held, heard)
        finally:
            if not booked:
                self._tools.book.lose(held)
            self._under_way -= 1
            self._ended.set()
            self._ended = asyncio.Event()

    def _keep(self, case: _Case, held: Taken, said: Said) -> Reply:
        teacher, bound = case.teacher, bound_of(case.teacher, case.question)
        prompt, completion = said.usage or (0, 0)
        cost = teacher.cost(prompt, completion) if said.usage else bound
        answer = Answer(
            teacher=teacher.name, model=teacher.model, at=self._tools.clock.now(), text=said.text,
            reasoning=said.reasoning, ended=said.ended, prompt_tokens=prompt, completion_tokens=completion, cost=cost,
        )  # fmt: skip
        words = prompt_bytes(case.question)
        usage = Usage(words, prompt, completion, case.question.max_tokens) if said.usage else None
        self._tools.book.settle(held, answer, case.question.subject, usage)
        case.gate.was_answered()
        if cost > bound:
            case.gate.shut("refused", f"it counts more tokens than it was allowed ({prompt} and {completion})")
        return case.answered(answer, cached=False)

    def _miss(self, case: _Case, held: Taken, unsaid: Unsaid) -> Reply | Unsaid:
        book = self._tools.book
        if unsaid.trouble == "malformed":
            book.spoil(held, unsaid.note)
        elif unsaid.may_cost:
            book.lose(held)
        else:
            book.free(held)
        if unsaid.trouble == "shut":
            case.gate.shut("refused", unsaid.note)
        return case.problem("refused", unsaid.note) if unsaid.trouble in {"refused", "shut"} else unsaid
