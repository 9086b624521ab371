"""What the tests of teachers' tasks share: scripts that drive one subject, and a classroom with a double in it.

Run as a program it is a nursery: for each line of JSON it forks a process that teaches, and tells its id.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from subprocess import PIPE
from typing import Any

from teacher_house import ROOT, quick, teacher

from flywheel.bootstrap.answer_tasks import ANSWERS
from flywheel.bootstrap.engines import Desk, open_engine
from flywheel.bootstrap.questions import Answer, Question
from flywheel.bootstrap.shelves import Shelf
from flywheel.bootstrap.teacher_doubles import TeacherDouble
from flywheel.bootstrap.teacher_tasks import Ask, End, Material, Prove, Step, Subject, Task, Told, Work
from flywheel.bootstrap.teachers import ROLES, Role, Teacher
from flywheel.bootstrap.teachings import Classroom, Extent, Tally, teach
from flywheel.core.lines import Line
from flywheel.core.makings import Making
from flywheel.core.outcomes import Message, Signal
from flywheel.sandbox.clients import Runner
from flywheel.sandbox.programs import Ending, Program, Run

AT = datetime(2026, 3, 1, tzinfo=UTC)
GOOD = Signal(name="commit_kept", points=1, strength=0.8)
NOTHING = Signal(name="seen", points=0, strength=0)

Say = Callable[[Question], str | None]


def answer(text: str, teacher: str = "large", **fields: Any) -> Answer:
    """What somebody said."""
    return Answer(teacher=teacher, model="m", at=AT, text=text, **fields)


def scripted(*said: Any) -> tuple[list[Step], Callable[[Step], Told]]:
    """Give a script for `drive`, and where the steps it was asked for are kept.

    A text answers a round of one question, a list of texts (None: no answer) one of several; a Signal is evidence, an
    exception's text is a fault, a tuple the runs of a program.
    """
    steps: list[Step] = []
    left = iter(said)

    def tell(step: Step) -> Told:
        steps.append(step)
        now = next(left)
        if isinstance(step, Ask):
            texts = now if isinstance(now, list) else [now]
            assert len(texts) == len(step.questions)
            roles = [one.role for one in step.questions]
            return Told(answers=tuple(None if text is None else answer(text, role)
                                      for text, role in zip(texts, roles, strict=True)))  # fmt: skip
        if isinstance(step, Prove):
            return Told(evidence=now) if isinstance(now, Signal) else Told(fault=str(now))
        return Told(runs=now)

    return steps, tell


def drive(work: Work, tell: Callable[[Step], Told]) -> End:
    """Go through a subject by a script, and return how it ends."""
    try:
        step = next(work)
        while True:
            step = work.send(tell(step))
    except StopIteration as end:
        return end.value


def line(name: str = "code", **fields: Any) -> Line:
    """A line."""
    return Line(name=name, why="it learns", base="main", **fields)


def making(key: str = "one", asked: str = "What is it?", response: str = "A thing.", **fields: Any) -> Making:
    """Something on the shelf."""
    given: dict[str, Any] = {
        "recipe": "mine", "origin": "synthetic", "group": "acme/shop", "call_type": "task_analysis", "at": AT,
        "model": "git", "signals": (GOOD,), "licence": "MIT", "about": {"repo": "acme/shop"}, **fields,
    }  # fmt: skip
    return Making(key=key, messages=(Message(role="user", content=asked),), response=response, **given)


def material(home: Path, roles: Sequence[Role] = ROLES, of: Line | None = None, **fields: Any) -> Material:
    """What subjects are found in; its shelf is to be closed."""
    return Material(of or line(), home, Shelf(home / "bootstrap.db"), frozenset(roles), **fields)


def subjects(task: Task, found: Material) -> dict[str, Subject]:
    """The subjects of a task, by their keys."""
    listed = list(task.subjects(found))
    keyed = {one.key: one for one in listed}
    assert len(keyed) == len(listed)
    return keyed


def staff_of(double: TeacherDouble, *roles: Role, **fields: Any) -> list[Teacher]:
    """Teachers behind a double, one for each of these roles: its answers tell them apart by their models."""
    return [teacher(double.base_url, **{"name": role, "model": role, "roles": [role], **fields}) for role in roles]


def saying(by_role: dict[str, Say | str]) -> Callable[[dict[str, Any]], str]:
    """Give the answers of a double, by who is asked; a callable gets the request."""

    def say(body: dict[str, Any]) -> str:
        said = by_role[body["model"]]
        return said if isinstance(said, str) else str(said(body))

    return say


def form(**fields: Any) -> str:
    """An answer in a form."""
    return json.dumps(fields)


class QuickExecutor:
    """Runs the two programs that the double says, without a process: one doubles what it reads, one repeats it."""

    async def check(self) -> str:
        """Nothing stands in the way."""
        return ""

    async def run(self, program: Program) -> tuple[Run, ...]:
        """What each input comes to."""
        factor = 2 if "* 2" in program.code else 1
        return tuple(Run(ending=Ending.FINISHED, output=f"{int(one) * factor}\n") for one in program.inputs)


@asynccontextmanager
async def classroom(
    home: Path, teachers: Sequence[Teacher], of: Line | None = None, files: Iterable[Path] = (), **given: Any
) -> AsyncIterator[Classroom]:
    """Give a room with an engine and an executor."""
    wanted = of or line()
    budget = Decimal(given["budget"]) if "budget" in given else None
    executor: Runner | None = given.get("executor", QuickExecutor())
    async with open_engine(Desk(home, teachers, sleep=quick), wanted.name, "teach/code", budget) as engine:
        roles = frozenset(role for role in ROLES if engine.staff.of(role) is not None)
        with Shelf(home / "bootstrap.db") as shelf:
            yield Classroom(Material(wanted, home, shelf, roles, tuple(files)), engine, executor)


async def taught(task: Task, room: Classroom, **extent: Any) -> Tally:
    """Work on a task in a room."""
    return await teach(task, room, Extent(**extent), lambda _: None)


def prompts_file(folder: Path, count: int, **fields: Any) -> Path:
    """A file of so many questions."""
    path = folder / "prompts.jsonl"
    rows = [{"prompt": f"what is {number}", **fields} for number in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@contextmanager
def nursery() -> Iterator[Callable[[Path, str], int]]:
    """Give what begins a process that teaches the questions in a home, and returns its id."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with subprocess.Popen([sys.executable, __file__], env=env, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def begin(home: Path, base_url: str) -> int:
            stdin.write(json.dumps([str(home), base_url]) + "\n")
            stdin.flush()
            return int(stdout.readline())

        try:
            yield begin
        finally:
            stdin.close()


def crew(base_url: str) -> list[Teacher]:
    """A coder, a second teacher and a judge at one address."""
    return staff_of(TeacherDouble(base_url=base_url), "coder", "cross", "judge", concurrency=3, timeout_seconds=5)


async def taught_at(home: Path, base_url: str) -> Tally:
    """What comes of the questions in a home."""
    async with classroom(home, crew(base_url), files=[home / "prompts.jsonl"]) as room:
        return await taught(ANSWERS, room)


def fork() -> None:
    """Be the nursery: everything is imported once."""
    import openai.resources.chat

    assert openai
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for row in sys.stdin:
        if not (pid := os.fork()):
            try:
                home, base_url = json.loads(row)
                asyncio.run(taught_at(Path(home), base_url))
            finally:
                os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    fork()
