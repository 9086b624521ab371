"""Killed at any moment and in several processes at once: nothing that came is asked for again, no bound is passed."""

import asyncio
import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from teacher_house import (
    PRICE_IN,
    PRICE_OUT,
    Nursery,
    ask,
    double_beside,
    is_there,
    nursery,
    questions,
    said,
    teacher,
)

from flywheel.bootstrap.questions import key_of
from flywheel.bootstrap.teacher_books import TeacherBook
from flywheel.bootstrap.teacher_doubles import TeacherDouble, echo

KILLS = 200 if os.environ.get("FLYWHEEL_SOAK") else 20
COUNT = KILLS * 6
FIELDS: dict[str, Any] = {"concurrency": 4, "timeout_seconds": 3}
MOODS = ("ok", "429", "ok", "500", "ok", "cut", "ok", "ok", "502", "ok") * 4
MOODS = (*MOODS, "malformed", *MOODS, "slow", "ok", "malformed", *MOODS)
WORDS = {number: f"what is {number}" for number in range(COUNT)}


def answer(body: dict[str, Any]) -> str:
    """Wrong to every seventh question, and to every eleventh more than it may say."""
    number = int(body["messages"][-1]["content"].split()[-1])
    return "something else" if number % 7 == 0 else "much " * 99 if number % 11 == 0 else echo(body)


def answered(home: Path, base_url: str) -> set[str]:
    """The words of the questions that have an answer in the book."""
    book = TeacherBook(home / "teachers.db")
    one = teacher(base_url, **FIELDS)
    try:
        return {one_question.messages[-1].content for one_question in questions(COUNT, max_tokens=64)
                if book.answer(key_of(one, one_question))}  # fmt: skip
    finally:
        book.close()


def kill_after(house: Nursery, home: Path, double: TeacherDouble, chance: random.Random) -> None:
    """Begin to ask, and kill it some requests later."""
    until = len(double.asked) + chance.randint(1, 7)
    pid = house.begin(home, double.base_url, COUNT, **FIELDS)
    deadline = time.monotonic() + 20
    while len(double.asked) < until and is_there(pid) and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(chance.random() * 0.02)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    while is_there(pid):
        time.sleep(0.001)


@pytest.mark.timeout(3600)
def test_killed_twenty_times_it_ends_the_same(home: Path) -> None:
    """After 20 kills the replies are those of an unbroken run, and what had come was never asked for again.

    To the last digit the book says what the answers cost, and beside that, as lost, at least what else was charged.
    """
    chance = random.Random(7)
    double = TeacherDouble(answer=answer, moods=MOODS, seconds=0.005, slow_seconds=4)
    known: list[tuple[int, set[str]]] = []
    with double_beside(double), nursery() as house:
        for _ in range(KILLS):
            kill_after(house, home / "a", double, chance)
            known.append((len(double.asked), answered(home / "a", double.base_url)))
        one = teacher(double.base_url, **FIELDS)
        replies, account, progress = asyncio.run(ask(home / "a", [one], questions(COUNT, max_tokens=64)))
    with double_beside(TeacherDouble(answer=answer)) as unbroken:
        one = teacher(unbroken.base_url)
        expected, cost, _ = asyncio.run(ask(home / "b", [one], questions(COUNT, max_tokens=64)))

    assert said(replies) == said(expected)
    assert [reply.answer.ended for reply in replies] == [reply.answer.ended for reply in expected]
    assert account.spent == cost.spent == sum(reply.answer.cost for reply in replies)
    assert progress.cached > KILLS
    for asked, words in known:
        assert not words & {late.words for late in double.asked[asked:]}
    assert account.held == 0
    assert account.spent + account.lost >= double.charged(PRICE_IN, PRICE_OUT) >= account.spent


def test_several_processes_keep_one_budget(home: Path) -> None:
    """Three processes ask the same at once and are killed: what had an answer is not asked, no bound is passed."""
    budget = 12 * 10**9
    fields = {**FIELDS, "budget_run": "0.012"}
    double = TeacherDouble(seconds=0.005)
    with double_beside(double), nursery() as house:
        for number in range(3):
            pids = [house.begin(home, double.base_url, COUNT, **fields) for _ in range(3)]
            deadline = time.monotonic() + 60
            until = len(double.asked) + 25
            while any(map(is_there, pids)) and time.monotonic() < deadline:
                if number < 2 and len(double.asked) >= until:
                    for pid in filter(is_there, pids):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.001)
        one = teacher(double.base_url, **fields)
        replies, account, _ = asyncio.run(ask(home, [one], questions(COUNT, max_tokens=64)))
    words = [asked.words for asked in double.asked]
    assert len(words) - len(set(words)) <= 2 * 3 * FIELDS["concurrency"]  # only what was under way when it was killed
    assert double.charged(PRICE_IN, PRICE_OUT) <= account.taken <= budget
    assert account.spent == sum(reply.answer.cost for reply in replies if reply.answer)
    assert "<over_budget>" in said(replies)


@pytest.mark.parametrize("seconds", [0.0, 0.01])
def test_processes_that_end_share_everything(home: Path, seconds: float) -> None:
    """Three processes that ask the same ask each question once, and the book says what was charged."""
    double = TeacherDouble(seconds=seconds)
    with double_beside(double), nursery() as house:
        pids = [house.begin(home, double.base_url, 40, concurrency=4) for _ in range(3)]
        deadline = time.monotonic() + 60
        while any(map(is_there, pids)) and time.monotonic() < deadline:
            time.sleep(0.005)
        _, account, progress = asyncio.run(ask(home, [teacher(double.base_url)], questions(40, max_tokens=64)))
    assert sorted(asked.words for asked in double.asked) == sorted(WORDS[number] for number in range(40))
    assert progress.cached == 40
    assert account.taken == account.spent == double.charged(PRICE_IN, PRICE_OUT)
