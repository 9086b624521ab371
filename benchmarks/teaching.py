"""Asking a teacher: answers a second through the engine beside the bare client, and from the book.

    python benchmarks/teaching.py [QUESTIONS] [SECONDS]

A double that takes so many seconds (0.05) for an answer is asked so many questions (400), ten at once: by AsyncOpenAI
alone, which keeps nothing and counts nothing, then by the engine, which sets each call's bound aside and keeps each
answer on the disk, and by the engine again, which finds every answer in its book.
"""

import asyncio
import sys
import tempfile
import threading
import time
from pathlib import Path

from openai import AsyncOpenAI

from flywheel.bootstrap.engines import Desk, open_engine
from flywheel.bootstrap.questions import Question, request_of
from flywheel.bootstrap.teacher_doubles import TeacherDouble
from flywheel.bootstrap.teachers import Teacher
from flywheel.core.outcomes import Message

AT_ONCE = 10


async def bare(teacher: Teacher, questions: list[Question]) -> float:
    turn = asyncio.Semaphore(AT_ONCE)
    async with AsyncOpenAI(base_url=teacher.base_url, api_key="none", max_retries=0) as client:

        async def one(question: Question) -> None:
            async with turn:
                answer = await client.chat.completions.create(**request_of(teacher, question))
                assert answer.choices[0].message.content

        begun = time.perf_counter()
        await asyncio.gather(*map(one, questions))
    return len(questions) / (time.perf_counter() - begun)


async def engine(home: Path, teacher: Teacher, questions: list[Question]) -> float:
    async with open_engine(Desk(home, [teacher]), "code", "benchmark") as asked:
        begun = time.perf_counter()
        replies = await asked.ask(questions)
        assert all(reply.answer for reply in replies)
    return len(questions) / (time.perf_counter() - begun)


async def serve(double: TeacherDouble, ready: threading.Event, end: asyncio.Event) -> None:
    async with double.running():
        ready.set()
        await end.wait()


def main(count: int, seconds: float) -> None:
    double, ready, end, loop = (
        TeacherDouble(seconds=seconds),
        threading.Event(),
        asyncio.Event(),
        asyncio.new_event_loop(),
    )
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve(double, ready, end)))
    thread.start()
    ready.wait()
    teacher = Teacher(name="double", base_url=double.base_url, model="m", price_in=1, price_out=2, budget_month=1000,
                      concurrency=AT_ONCE)  # fmt: skip
    questions = [Question(role="primary", messages=(Message(role="user", content=f"what is {number}, and why? " * 40),))
                 for number in range(count)]  # fmt: skip
    asyncio.run(bare(teacher, questions[:AT_ONCE]))
    with tempfile.TemporaryDirectory() as folder:
        alone = asyncio.run(bare(teacher, questions))
        fresh = asyncio.run(engine(Path(folder), teacher, questions))
        again = asyncio.run(engine(Path(folder), teacher, questions))
    loop.call_soon_threadsafe(end.set)
    thread.join()
    print(f"{count} questions, {AT_ONCE} at once, {seconds:g} s an answer: at most {AT_ONCE / seconds:.0f} answers/s")
    print(f"AsyncOpenAI alone   {alone:8.1f} answers/s")
    print(f"the engine          {fresh:8.1f} answers/s  ({fresh / alone:.2f} of it)")
    print(f"again, from the book {again:7.1f} answers/s")
    assert len(double.asked) == AT_ONCE + 2 * count


if __name__ == "__main__":
    main(int((sys.argv[1:2] or ["400"])[0]), float((sys.argv[2:3] or ["0.05"])[0]))
