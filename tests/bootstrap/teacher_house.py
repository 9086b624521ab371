"""What the tests of teachers share: a double, a teacher of it, questions, and an engine that never really sleeps.

Run as a program it is a nursery: for each line of JSON it forks a process that asks, and tells its id.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from flywheel.bootstrap.engines import Desk, Progress, open_engine
from flywheel.bootstrap.questions import Question, Reply
from flywheel.bootstrap.teacher_books import Account
from flywheel.bootstrap.teacher_doubles import TeacherDouble
from flywheel.bootstrap.teachers import Teacher
from flywheel.core.outcomes import Message

ROOT = Path(__file__).parents[2]
PRICE_IN, PRICE_OUT = 2_500_000, 10_000_001  # picos a token, of 2.5 and 10.000001 a million


def teacher(base_url: str, **fields: Any) -> Teacher:
    """A teacher that costs something."""
    given = {"name": "large", "model": "m", "price_in": "2.5", "price_out": "10.000001", "budget_month": 100, **fields}
    return Teacher(base_url=base_url, **given)


def questions(count: int, **fields: Any) -> list[Question]:
    """So many questions, each with words of its own."""
    return [
        Question(**{"role": "primary", "messages": (Message(role="user", content=f"what is {number}"),), **fields})
        for number in range(count)
    ]


async def quick(seconds: float) -> None:
    """Sleep a thousandth of it."""
    await asyncio.sleep(min(seconds, 60) / 1000)


async def ask(
    home: Path, teachers: Sequence[Teacher], asked: Sequence[Question], budget: Decimal | None = None
) -> tuple[list[Reply], Account, Progress]:
    """What comes of questions in one run, which is not finished; its account; how far it says it is."""
    async with open_engine(Desk(home, teachers, sleep=quick), "code", "teach/code", budget) as engine:
        replies = await engine.ask(asked)
        return replies, engine.account, engine.progress


async def until(condition: Callable[[], object]) -> None:
    """Wait for something to be so."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for is beyond a socket
            await asyncio.sleep(0.005)


def said(replies: Sequence[Reply]) -> list[str]:
    """The answers, or the problems in their places."""
    return [reply.answer.text if reply.answer else f"<{reply.problem}>" for reply in replies]


@contextmanager
def double_beside(double: TeacherDouble) -> Iterator[TeacherDouble]:
    """Run a double in a thread of its own, for processes that ask it."""
    loop, ready, end = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with double.running():
            ready.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(30)
    try:
        yield double
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


@contextmanager
def nursery() -> Iterator["Nursery"]:
    """Give a maker of processes that have imported everything already."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, __file__], env=env, **pipes) as process:
        try:
            yield Nursery(process)
        finally:
            process.stdin.close()


class Nursery:
    """Makes processes that ask."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Take the process that forks."""
        self._process = process

    def begin(self, home: Path, base_url: str, count: int, **fields: Any) -> int:
        """Begin one, and return its id; it is gone when it has asked everything."""
        self._process.stdin.write(json.dumps([str(home), base_url, count, fields]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def is_there(pid: int) -> bool:
    """Whether a process is still there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def fork() -> None:
    """Be the nursery."""
    import openai.resources.chat

    assert openai
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if not (pid := os.fork()):
            try:
                work(*json.loads(line))
            finally:
                os._exit(0)
        print(pid, flush=True)


def work(home: str, base_url: str, count: int, fields: dict[str, Any]) -> None:
    """Ask so many questions, as a process of its own does."""
    asyncio.run(ask(Path(home), [teacher(base_url, **fields)], questions(count, max_tokens=64)))


if __name__ == "__main__":
    fork()
