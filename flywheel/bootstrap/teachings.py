"""Does what the tasks of teachers say: asks, runs, lays what is believed on the shelf, and remembers how each ended.

What is certain, whatever is killed: an answer that came is never paid again, a making and the mark that says how its
subject ended are written together, and the next call does what is left with the same result.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from flywheel.bootstrap.engines import Engine
from flywheel.bootstrap.proofs import NotProvedError, prove
from flywheel.bootstrap.questions import Problem, Reply
from flywheel.bootstrap.shelves import Shelf
from flywheel.bootstrap.teacher_tasks import (
    Ask,
    End,
    Kind,
    Material,
    Prove,
    Subject,
    Task,
    Told,
    Try,
    refused,
    waiting,
)
from flywheel.bootstrap.teachers import Staff
from flywheel.core.errors import MisuseError, UnavailableError
from flywheel.core.ids import content_hash
from flywheel.core.secrets import find_secret_in
from flywheel.sandbox.clients import Runner

CUT_OFF = "cut off at its longest"
NO_EXECUTOR = "no executor"
_AHEAD = 2  # subjects under way for each question that may be
_RUNS = 16  # programs at once: the executor runs as many as it has boxes
_LEFT: dict[Problem, str] = {
    "over_budget": "no budget left",
    "unavailable": "the teacher is away",
    "stopped": "stopped",
    "refused": "the teacher refuses the question",
    "malformed": "the teacher's answers are none",
}
_FOR_GOOD = frozenset({None, "no_teacher", "secret"})  # with an optional question the work goes on without an answer


class Classroom(NamedTuple):
    """What teaching is done with."""

    material: Material
    engine: Engine
    executor: Runner | None = None


class Extent(NamedTuple):
    """How much is done: at most so many subjects; with `again` also those that were settled before."""

    limit: int | None = None
    again: bool = False


@dataclass(slots=True)
class Tally:
    """What came of a task: its ends by kind and reason, the kinds of those settled earlier, and what was made.

    `notes` has the first thing that was said about each reason to leave a subject.
    """

    ends: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    settled: Counter[Kind] = field(default_factory=Counter)
    makings: int = 0
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Return how many subjects were worked on."""
        return self.ends.total()


class Progress(NamedTuple):
    """How far a task is: subjects done and to do; what the run has cost so far and likely will yet, in picos."""

    task: str
    done: int
    of: int
    cost: int
    to_come: int


Say = Callable[[Progress], None]


def stamp_of(task: Task, subject: Subject, staff: Staff) -> str:
    """Return what a settled subject depends on: when it changes, the subject is worked on anew."""
    teachers = sorted([one.name, one.model, *sorted(one.roles)] for one in staff.teachers)
    return content_hash([task.name, task.version, subject.digest, teachers])


def name_of(task: str, line: str, key: str = "") -> str:
    """Return the name of a subject's mark, and of its place on the shelf where it has no other."""
    return f"teach/{task}/{line}/{key}"


def open_subjects(task: Task, material: Material, staff: Staff, extent: Extent) -> Iterator[Subject]:
    """Yield the subjects that are to be worked on."""
    looked = _looked_at(task, material, staff)
    return islice((one for one, settled in looked if extent.again or settled is None), extent.limit)


def _looked_at(task: Task, material: Material, staff: Staff) -> Iterator[tuple[Subject, Kind | None]]:
    """Yield the subjects, each with how it was settled; one that waits is settled until somebody else can judge it."""
    for subject in task.subjects(material):
        mark = material.shelf.mark(name_of(task.name, material.line.name, subject.key))
        is_same = bool(mark) and mark["stamp"] == stamp_of(task, subject, staff)
        yield subject, mark["kind"] if is_same else None


async def teach(task: Task, room: Classroom, extent: Extent, say: Say) -> Tally:
    """Work on the subjects of a task, several at once, and say how it goes after each."""
    _withdraw_orphans(room.material.shelf, name_of(task.name, room.material.line.name))
    return await _Lesson(task, room, say).teach(extent)


class _Lesson:
    """One task being taught."""

    def __init__(self, task: Task, room: Classroom, say: Say) -> None:
        self._task, self._room, self._say = task, room, say
        self._tally = Tally()
        self._programs = asyncio.Semaphore(_RUNS)
        self._why_not: str | None = None
        self._looking = asyncio.Lock()
        self._before = room.engine.progress.cost

    async def teach(self, extent: Extent) -> Tally:
        material, staff = self._room.material, self._room.engine.staff
        looked = Counter(settled for _, settled in _looked_at(self._task, material, staff))
        if not extent.again:
            self._tally.settled = Counter({kind: count for kind, count in looked.items() if kind is not None})
        todo = looked.total() - self._tally.settled.total()
        todo = todo if extent.limit is None else min(todo, extent.limit)
        subjects = open_subjects(self._task, material, staff, extent)
        await self._all(subjects, todo)
        return self._tally

    async def _all(self, subjects: Iterator[Subject], of: int) -> None:
        room = _AHEAD * max(1, sum(one.concurrency for one in self._room.engine.staff.teachers))
        waiting: set[asyncio.Task[tuple[Subject, End]]] = set()
        try:
            while self._fill(waiting, subjects, room):
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    self._lay_down(*one.result())
                    self._tell(of)
        finally:
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def _fill(self, waiting: set["asyncio.Task[tuple[Subject, End]]"], subjects: Iterator[Subject], room: int) -> bool:
        while len(waiting) < room and not self._room.engine.is_stopped and (one := next(subjects, None)) is not None:
            waiting.add(asyncio.create_task(self._one(one)))
        return bool(waiting)

    async def _one(self, subject: Subject) -> tuple[Subject, End]:
        with closing(subject.work()) as work:
            try:
                step = next(work)
                while True:
                    came = await (self._asked(step) if isinstance(step, Ask) else self._run(step))
                    if isinstance(came, End):
                        return subject, came
                    step = work.send(came)
            except StopIteration as end:
                return subject, end.value

    async def _asked(self, step: Ask) -> Told | End:
        replies = await self._room.engine.ask(step.questions)
        ends = [end for reply in replies if (end := self._end_of(reply, optional=step.optional)) is not None]
        if ends:
            return next((end for end in ends if end.kind == "left"), ends[0])
        return Told(answers=tuple(reply.answer if _is_whole(reply) else None for reply in replies))

    def _end_of(self, reply: Reply, *, optional: bool) -> End | None:
        """Return how a subject ends for want of an answer; None where it goes on."""
        if _is_whole(reply) or (optional and reply.problem in _FOR_GOOD):
            return None
        if reply.problem is None:
            return refused(CUT_OFF)
        if reply.problem == "no_teacher":
            return waiting(f"no teacher as {reply.question.role}")
        if reply.problem == "secret":
            return refused("it holds a secret")
        return self._left(_LEFT[reply.problem], reply.note)

    async def _run(self, step: Try | Prove) -> Told | End:
        executor = self._room.executor
        try:
            if executor is None or (why := await self._why_not_run(executor)):
                return self._left(NO_EXECUTOR, "there is none" if executor is None else why)
            async with self._programs:
                if isinstance(step, Try):
                    return Told(runs=await executor.run(step.program))
                return Told(evidence=await prove(step.proof, executor))
        except NotProvedError as error:
            return Told(fault=str(error))
        except MisuseError:
            return refused("the executor turns the program down")
        except UnavailableError as error:
            return self._left(NO_EXECUTOR, str(error))

    async def _why_not_run(self, executor: Runner) -> str:
        async with self._looking:
            if self._why_not is None:
                self._why_not = await executor.check()
        return self._why_not

    def _left(self, reason: str, note: str) -> End:
        self._tally.notes.setdefault(reason, note)
        return End("left", reason)

    def _lay_down(self, subject: Subject, end: End) -> None:
        """Put what was made with the mark that says how it ended; a making with a secret in it is none."""
        if find_secret_in(one.model_dump_json() for one in end.makings):
            end = refused("it holds a secret")
        self._tally.ends[end.kind, end.reason] += 1
        if end.kind == "left":
            return
        assert end.kind != "waiting" or not any(sign.points for one in end.makings for sign in one.signals)
        name = name_of(self._task.name, self._room.material.line.name, subject.key)
        stamp = stamp_of(self._task, subject, self._room.engine.staff)
        mark = {"stamp": stamp, "kind": end.kind, "reason": end.reason}
        self._room.material.shelf.put({subject.place or name: end.makings}, {name: mark})
        self._tally.makings += len(end.makings)

    def _tell(self, of: int) -> None:
        cost, done = self._room.engine.progress.cost, self._tally.done
        to_come = (cost - self._before) * max(0, of - done) // max(1, done)
        self._say(Progress(self._task.name, done, of, cost, to_come))


def _is_whole(reply: Reply) -> bool:
    return reply.answer is not None and reply.answer.ended != "length"


def _withdraw_orphans(shelf: Shelf, prefix: str) -> None:
    """Take back what was taught about makings that are on the shelf no more."""
    for name in list(shelf.tasks(prefix)):
        origins = {one.about["of"] for one in shelf.makings(name) if "of" in one.about}
        if origins and not any(shelf.makings(origin) for origin in origins):
            shelf.put({name: ()})
            shelf.forget_marks(name)
