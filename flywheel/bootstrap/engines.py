"""The engine: questions go in, replies come out; each is asked once, ever, and paid within the bounds.

What is certain at any moment, whatever is killed: an answer that came is kept and never asked for again, and what was
paid, what is set aside and what may have been charged stay together below every bound.
"""

import asyncio
import os
import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from flywheel.bootstrap.estimates import Estimate, foresee
from flywheel.bootstrap.inquiries import Inquiries, Tools
from flywheel.bootstrap.presences import Presence
from flywheel.bootstrap.prices import picos
from flywheel.bootstrap.questions import Question, Reply
from flywheel.bootstrap.rests import Rest, Sleep
from flywheel.bootstrap.teacher_books import Account, TeacherBook
from flywheel.bootstrap.teacher_calls import TeacherClient
from flywheel.bootstrap.teacher_gates import TeacherGate
from flywheel.bootstrap.teacher_keys import read_key
from flywheel.bootstrap.teachers import Staff, Teacher, teachers_for
from flywheel.core.clocks import Clock, SystemClock

_AHEAD = 2  # questions taken for each that can be asked at once: so that nobody waits for the next
_TOLD = 5  # answers that say something of the next ones' cost


class Desk(NamedTuple):
    """Where an engine stands: the home, the teachers of the settings, and its surroundings."""

    home: Path
    teachers: Sequence[Teacher]
    clock: Clock = SystemClock()
    sleep: Sleep = asyncio.sleep
    env: Mapping[str, str] = os.environ


class Progress(NamedTuple):
    """How far it is: questions, what the run has cost so far, and what the ones to come will likely cost; in picos."""

    asked: int
    cached: int
    failed: int
    of: int
    cost: int
    to_come: int


class Engine:
    """Asks the teachers of a line. Made by `open_engine`."""

    def __init__(self, staff: Staff, tools: Tools) -> None:
        """Take who teaches, and what it is done with."""
        self.staff = staff
        self._tools = tools
        self._inquiries = Inquiries(staff, tools)
        self._under_way: set[asyncio.Task[tuple[int, Reply]]] = set()
        self._asked = self._cached = self._failed = self._of = 0
        self._left = self._foreseen = self._paid = 0

    async def ask(self, questions: Sequence[Question]) -> list[Reply]:
        """Return what came of the questions, in their order."""
        numbered = {number: reply async for number, reply in self._numbered(questions)}
        return [numbered[number] for number in range(len(questions))]

    async def replies(self, questions: Iterable[Question]) -> AsyncIterator[Reply]:
        """Yield what came of the questions as it comes; of an endless row a little is taken ahead."""
        async with aclosing(self._numbered(questions)) as numbered:
            async for _, reply in numbered:
                yield reply

    def foresee(self, questions: Iterable[Question]) -> Estimate:
        """Return what asking would cost; nothing is asked."""
        return foresee(self.staff, self._tools.book, questions)

    def stop(self) -> None:
        """Begin no call any more: what is under way ends, everything else is `stopped`."""
        self._tools.rest.end()

    async def close(self) -> None:
        """Break off what is under way; what that may cost is booked."""
        await _break_off(self._under_way)

    @property
    def is_stopped(self) -> bool:
        """Tell whether it was stopped."""
        return self._tools.rest.is_over

    def finish(self) -> None:
        """Say that this run came to its end by itself: the next one of its name begins with nothing spent."""
        self._tools.book.end_run(self._tools.run)

    @property
    def account(self) -> Account:
        """Return what this run has taken, in picos."""
        return self._tools.book.account(f"run/{self._tools.run}")

    @property
    def progress(self) -> Progress:
        """Return how far it is."""
        cost = self.account
        return Progress(self._asked, self._cached, self._failed, self._of, cost.spent + cost.lost, self._to_come)

    @property
    def _to_come(self) -> int:
        """Return what was foreseen for those left, corrected by what those answered really cost."""
        told = self._asked >= _TOLD and self._foreseen
        return self._left * self._paid // self._foreseen if told else self._left

    async def _numbered(self, questions: Iterable[Question]) -> AsyncGenerator[tuple[int, Reply], None]:
        likely = self._expect(questions) if isinstance(questions, Sequence) else None
        waiting: set[asyncio.Task[tuple[int, Reply]]] = set()
        source = enumerate(questions)
        try:
            while self._fill(waiting, source, counted=likely is not None):
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for number, reply in sorted((task.result() for task in done), key=lambda one: one[0]):
                    self._note(reply, likely[number] if likely else 0)
                    yield number, reply
        finally:
            await _break_off(waiting)

    def _fill(
        self, waiting: set[asyncio.Task[tuple[int, Reply]]], source: Iterator[tuple[int, Question]], *, counted: bool
    ) -> bool:
        room = max(1, _AHEAD * sum(one.concurrency for one in self.staff.teachers))
        while len(waiting) < room and (following := next(source, None)) is not None:
            self._of += not counted
            task = asyncio.create_task(self._one(*following))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            waiting.add(task)
        return bool(waiting)

    async def _one(self, number: int, question: Question) -> tuple[int, Reply]:
        return number, await self._inquiries.ask(question)

    def _expect(self, questions: Sequence[Question]) -> list[int]:
        likely = [self.foresee([question]).likely for question in questions]
        self._of += len(questions)
        self._left += sum(likely)
        return likely

    def _note(self, reply: Reply, likely: int) -> None:
        self._left -= likely
        if reply.answer is not None and not reply.cached:
            self._foreseen, self._paid = self._foreseen + likely, self._paid + reply.answer.cost
        self._cached += reply.cached
        self._failed += reply.problem is not None
        self._asked += reply.answer is not None and not reply.cached


async def _break_off(tasks: Iterable[asyncio.Task[tuple[int, Reply]]]) -> None:
    ending = [task for task in tasks if task.cancel() or not task.done()]
    await asyncio.gather(*ending, return_exceptions=True)


def foresee_for(desk: Desk, line: str, questions: Iterable[Question]) -> Estimate:
    """Return what asking a line's teachers would cost; nothing is asked, written or needed but the settings."""
    path = desk.home / "teachers.db"
    with closing(TeacherBook(path if path.exists() else None)) as book:
        return foresee(teachers_for(desk.teachers, line), book, questions)


@asynccontextmanager
async def open_engine(desk: Desk, line: str, run: str, budget: Decimal | None = None) -> AsyncIterator[Engine]:
    """Give an engine for a line; `budget` bounds what the run may cost over all teachers.

    A run of that name that was broken off, and so never finished, goes on, and so does its spending.
    """
    staff = teachers_for(desk.teachers, line)
    keys = {one.name: read_key(one, desk.env) for one in staff.teachers}
    async with AsyncExitStack() as stack:
        book = TeacherBook(desk.home / "teachers.db")
        stack.callback(book.close)
        presence = Presence(desk.home / "teachers.at-work")
        stack.callback(presence.leave)
        book.sweep(presence.is_at_work)
        clients = {one.name: await stack.enter_async_context(TeacherClient(one, keys[one.name]))
                   for one in staff.teachers}  # fmt: skip
        rest = Rest(desk.sleep)
        gates = {one.name: TeacherGate(one, book, desk.clock, rest) for one in staff.teachers}
        most = picos(budget) if budget is not None else None
        chance = random.Random()  # noqa: S311 - it spreads pauses
        number = book.begin_run(run)
        engine = Engine(staff, Tools(book, presence, clients, gates, desk.clock, rest, number, most, chance))
        stack.push_async_callback(engine.close)
        yield engine
