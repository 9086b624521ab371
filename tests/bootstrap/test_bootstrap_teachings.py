"""Teaching: what is asked, run and laid on the shelf, whatever is killed; and what is left for another time."""

import asyncio
import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_house import classroom, form, line, making, nursery, prompts_file, saying, staff_of, taught, taught_at
from teacher_house import PRICE_IN, PRICE_OUT, double_beside, is_there

from flywheel.bootstrap.answer_checks import DISAGREEMENT, FAILS_TESTS
from flywheel.bootstrap.answer_tasks import ANSWERS
from flywheel.bootstrap.prompt_files import NOT_READ, prompts_in
from flywheel.bootstrap.questions import Question
from flywheel.bootstrap.rehearsals import rehearse
from flywheel.bootstrap.shelves import Shelf
from flywheel.bootstrap.teacher_books import TeacherBook
from flywheel.bootstrap.teacher_doubles import TeacherDouble
from flywheel.bootstrap.teacher_tasks import Ask, Material, Subject, Task, Work, believed
from flywheel.bootstrap.teachings import CUT_OFF, NO_EXECUTOR, Classroom, Extent
from flywheel.core.labels import judge
from flywheel.core.outcomes import Label, Signal
from flywheel.sandbox.doubles import PlainExecutor
from flywheel.sources.bootstraps import BootstrapReader

KILLS = 200 if os.environ.get("FLYWHEEL_SOAK") else 20
RIGHT, WRONG = "```python\nprint(int(input()) * 2)\n```", "```python\nprint(int(input()))\n```"
TESTS = {"tests": [{"stdin": "1\n", "stdout": "2\n"}, {"stdin": "3\n", "stdout": "6\n"}]}


def shelved(home: Path) -> dict[str, list[tuple[str, Label]]]:
    """What was taught, by the tasks of the shelf: each answer with its label."""
    with Shelf(home / "bootstrap.db") as shelf:
        return {name: [(one.response, judge(one.signals).label) for one in shelf.makings(name)]
                for name in shelf.tasks("teach/")}  # fmt: skip


def answers(home: Path) -> list[tuple[str, Label]]:
    """All answers that lie there."""
    return sorted(one for makings in shelved(home).values() for one in makings)


@pytest.mark.asyncio
async def test_questions_of_a_file_are_answered_and_proved(home: Path) -> None:
    """What passes its tests in the sandbox is believed, and what fails is a bad example; rows that are none count."""
    path = prompts_file(home, 3, call_type="code", tests=TESTS, tags=["domain:python"], licence="MIT")
    path.write_text(path.read_text() + "no json\n" + '{"prompt": ""}\n' + path.read_text().split("\n")[0] + "\n")
    says = saying({"coder": lambda body: WRONG if "1" in body["messages"][-1]["content"] else RIGHT})
    async with TeacherDouble(answer=says).running() as double:
        async with classroom(home, staff_of(double, "coder"), files=[path], executor=PlainExecutor()) as room:
            tally = await taught(ANSWERS, room)
        assert tally.ends == {("believed", ""): 2, ("refused", FAILS_TESTS): 1, ("refused", NOT_READ): 2}
        assert len(double.asked) == 4, "the one that failed was asked for once more"
    assert answers(home) == sorted([(RIGHT, Label.POSITIVE)] * 2 + [(WRONG, Label.NEGATIVE)])


@pytest.mark.asyncio
async def test_what_is_taught_reaches_its_line_through_the_source(home: Path) -> None:
    """With its evidence, its licence, and who said it."""
    path = prompts_file(home, 1, call_type="code", tests=TESTS, licence="MIT")
    double = TeacherDouble(answer=saying({"coder": RIGHT}))
    async with double.running(), classroom(home, staff_of(double, "coder"), files=[path]) as room:
        await taught(ANSWERS, room)
    with closing(BootstrapReader(home / "bootstrap.db")) as reader:
        ((outcome,),) = [one.outcomes for one in reader.read({}, {}).tasks]
    assert (outcome.labelled.label, outcome.labelled.confidence) == (Label.POSITIVE, 0.95)
    assert (outcome.origin, outcome.model) == ("teacher", "coder")
    told = {"file": "prompts.jsonl", "teacher": "coder", "model": "coder", "task": "answers", "licence": "MIT"}
    assert outcome.extra == {**told, "recipe": "teach", "made_for": "code"}


@pytest.mark.asyncio
async def test_questions_of_the_shelf_without_a_good_answer_are_asked(home: Path) -> None:
    """Those that have one, those of another line, and what was taught are left alone; each question is asked once."""
    unsure = (Signal(name="guess", points=1, strength=0.6),)
    with Shelf(home / "bootstrap.db") as shelf:
        shelf.put({"import/a/1": [making("a", "unsure?", signals=unsure), making("b", "sure?"),
                                  making("c", "both?", signals=unsure), making("d", "both?", "Another.")],
                   "import/a/2": [making("a", "unsure?", "Else.", signals=unsure),
                                  making("b", "foreign?", signals=unsure, line="another"),
                                  making("c", "taught?", signals=unsure, recipe="teach")]})  # fmt: skip
    async with TeacherDouble(answer=saying({"primary": "So."})).running() as double:
        async with classroom(home, staff_of(double, "primary")) as room:
            tally = await taught(ANSWERS, room)
        assert [one.words for one in double.asked] == ["unsure?"]
    assert (tally.done, tally.makings) == (1, 1)


@pytest.mark.asyncio
async def test_what_is_settled_is_not_worked_on_again(home: Path) -> None:
    """Neither asked nor run; `again` does, at no cost; another teacher's word counts anew."""
    path = prompts_file(home, 3)
    async with TeacherDouble(
        answer=saying({"primary": "So.", "judge": form(score=9, reason="Yes.")})
    ).running() as double:
        async with classroom(home, staff_of(double, "primary"), files=[path]) as room:
            assert (await taught(ANSWERS, room, limit=2)).done == 2
            tally = await taught(ANSWERS, room)
            assert (tally.settled, tally.done) == ({"believed": 2}, 1)
            assert (await taught(ANSWERS, room)).settled.total() == 3
            assert (await taught(ANSWERS, room, again=True)).done == 3
        assert len(double.asked) == 3
        async with classroom(home, staff_of(double, "primary", "judge"), files=[path]) as room:
            assert (await taught(ANSWERS, room)).done == 3
        assert len(double.asked) == 6, "three answers were there; the judge was asked about each"


@pytest.mark.asyncio
async def test_who_waits_is_believed_when_a_judge_comes(home: Path) -> None:
    """Until then it lies there without a label, and takes nobody's turn."""
    path = prompts_file(home, 1, call_type="scope")
    choices = iter([form(best="second", score=9, reason="So."), form(best="first", score=9, reason="So.")])
    says = {"primary": "Yes.", "cross": "No.", "judge": lambda _: next(choices)}
    async with TeacherDouble(answer=saying(says)).running() as double:
        async with classroom(home, staff_of(double, "primary", "cross"), files=[path]) as room:
            assert (await taught(ANSWERS, room)).ends == {("waiting", DISAGREEMENT): 1}
            assert (await taught(ANSWERS, room)).settled == {"waiting": 1}
        assert answers(home) == [("Yes.", Label.UNKNOWN)]
        assert len(double.asked) == 2
        async with classroom(home, staff_of(double, "primary", "cross", "judge"), files=[path]) as room:
            await taught(ANSWERS, room)
    assert answers(home) == [("No.", Label.POSITIVE), ("Yes.", Label.NEGATIVE)]


@pytest.mark.asyncio
async def test_what_cannot_be_paid_or_run_now_is_left(home: Path) -> None:
    """The shelf stays as it is; another time it goes on, and what was answered costs nothing."""
    path = prompts_file(home, 2, tests=TESTS)
    async with TeacherDouble(answer=saying({"coder": RIGHT})).running() as double:
        async with classroom(home, staff_of(double, "coder"), files=[path], budget="0.000001") as room:
            tally = await taught(ANSWERS, room)
        assert tally.ends == {("left", "no budget left"): 2}
        assert "budget" in tally.notes["no budget left"] or tally.notes["no budget left"]
        async with classroom(home, staff_of(double, "coder"), files=[path], executor=None) as room:
            tally = await taught(ANSWERS, room)
        assert tally.ends == {("left", NO_EXECUTOR): 2}
        assert not shelved(home)
        asked = len(double.asked)
        async with classroom(home, staff_of(double, "coder"), files=[path]) as room:
            assert (await taught(ANSWERS, room)).ends == {("believed", ""): 2}
        assert len(double.asked) == asked == 2


@pytest.mark.asyncio
async def test_secrets_and_what_was_cut_off_are_not_believed(home: Path) -> None:
    """A secret in a question is not sent, one in an answer is not kept; half an answer is none."""
    secret = "ghp_" + "x1Y2z3A4b5C6d7E8f9G0h1J2k3L4m5N6p7Q8"
    path = home / "prompts.jsonl"
    path.write_text("".join(json.dumps({"prompt": one}) + "\n" for one in ("say it", f"what is {secret}", "much")))
    says = saying(
        {
            "primary": lambda body: {"say it": f"It is {secret}.", "much": "word " * 2000}[
                body["messages"][-1]["content"]
            ]
        }
    )
    async with TeacherDouble(answer=says).running() as double:
        async with classroom(home, staff_of(double, "primary"), files=[path]) as room:
            tally = await taught(ANSWERS, room)
        assert tally.ends == {("refused", "it holds a secret"): 2, ("refused", CUT_OFF): 1}
        assert len(double.asked) == 2
    assert not shelved(home)
    assert secret.encode() not in (home / "bootstrap.db").read_bytes()


@pytest.mark.asyncio
async def test_what_rests_on_a_making_goes_with_it(home: Path) -> None:
    """A repo that was withdrawn from the shelf teaches nothing through its teachers' answers either."""
    unsure = (Signal(name="guess", points=1, strength=0.6),)
    with Shelf(home / "bootstrap.db") as shelf:
        shelf.put({f"mine/a/{number}": [making("a", f"what is {number}", signals=unsure)] for number in range(2)})
    double = TeacherDouble(answer=saying({"primary": "So."}))
    async with double.running(), classroom(home, staff_of(double, "primary")) as room:
        await taught(ANSWERS, room)
        assert len(shelved(home)) == 2
        room.material.shelf.put({"mine/a/0": ()})
        tally = await taught(ANSWERS, room)
    assert (tally.settled, tally.done) == ({"believed": 1}, 0)
    assert len(shelved(home)) == 1


def two_rounds(material: Material) -> Any:
    """Subjects with a second round, the questions of which rest on the first."""

    def work(number: int) -> Work:
        told = yield Ask((asking("primary", f"what is {number}"),))
        told = yield Ask((asking("judge", f"is {told.answer.text} right"), asking("cross", "what else")), optional=True)
        return believed(making(response=" ".join(one.text if one else "-" for one in told.answers), recipe="teach"))

    for number in range(4):
        yield Subject(f"{number}", "", lambda number=number: work(number), f"elsewhere/{number}")
    assert material.line.name == "code"


def asking(role: Any, words: str) -> Question:
    """A question."""
    return Question(role=role, messages=(making(asked=words).messages[0],), max_tokens=32)


@pytest.mark.asyncio
async def test_a_rehearsal_tells_what_is_asked_next(home: Path) -> None:
    """The first round before it, what rests on it afterwards, nothing when all was asked; and it asks nothing."""
    task = Task("rounds", "to see rounds", two_rounds)

    def foreseen(room: Classroom) -> list[str]:
        with closing(TeacherBook(home / "teachers.db")) as book:
            found = list(rehearse(task, room.material, room.engine.staff, book, Extent()))
        return [one.messages[-1].content for one in found]

    double = TeacherDouble(answer=saying({"primary": "so", "judge": "yes"}))
    async with double.running(), classroom(home, staff_of(double, "primary", "judge")) as room:
        assert foreseen(room) == [f"what is {number}" for number in range(4)]
        await room.engine.ask([asking("primary", "what is 0")])
        assert foreseen(room)[:4] == ["what is 0", "is so right", "what else", "what is 1"]
        assert len(double.asked) == 1
        assert (await taught(task, room)).ends == {("believed", ""): 4}
        assert foreseen(room) == []
        assert len(double.asked) == 5, "one judgement for four, as the words are the same"
        assert [one.response for one in room.material.shelf.makings("elsewhere/3")] == ["yes -"]


@pytest.mark.asyncio
async def test_a_run_that_is_stopped_begins_nothing_more(home: Path) -> None:
    """What is under way ends; what is left is done another time with the same result."""
    path = prompts_file(home, 40)
    async with TeacherDouble(answer=saying({"primary": "So."}), seconds=0.01).running() as double:
        async with classroom(home, staff_of(double, "primary", concurrency=2), files=[path]) as room:
            teaching = asyncio.create_task(taught(ANSWERS, room))
            while len(double.asked) < 6:  # noqa: ASYNC110 - what is waited for is beyond a socket
                await asyncio.sleep(0.005)
            room.engine.stop()
            tally = await teaching
            assert 6 <= len(double.asked) <= 10
            assert tally.done < 20
        async with classroom(home, staff_of(double, "primary", concurrency=2), files=[path]) as room:
            await taught(ANSWERS, room)
        assert len(double.asked) == 40
    assert answers(home) == [("So.", Label.POSITIVE)] * 40


def mixed(body: dict[str, Any]) -> str:
    """Right, wrong, torn, empty or in no form, by the number in the question; a judge who judges by the answer."""
    asked = body["messages"][-1]["content"]
    if body["model"] == "judge":
        return "in no form" if "no program" in asked else form(score=9 if "* 2" in asked else 2, reason="So it is.")
    number = int(asked.split()[-1])
    kinds = {"coder": (RIGHT, WRONG, "no program", RIGHT), "cross": (RIGHT, RIGHT, WRONG, "")}[body["model"]]
    return kinds[(number * (7 if body["model"] == "cross" else 1)) % 4]


def kill_after(begin: Callable[[Path, str], int], home: Path, double: TeacherDouble, chance: random.Random) -> None:
    """Begin to teach, and kill it some requests later."""
    until = len(double.asked) + chance.randint(0, 3)
    pid = begin(home, double.base_url)
    deadline = time.monotonic() + 20
    while len(double.asked) < until and is_there(pid) and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(chance.random() * 0.03)
    if is_there(pid):
        os.kill(pid, signal.SIGKILL)
    while is_there(pid) and time.monotonic() < deadline:
        time.sleep(0.001)


def test_killed_at_any_moment_it_comes_to_the_same(home: Path) -> None:
    """Twenty times over: the same shelf as of one run, and no answer that came is asked for again."""
    whole, torn = home / "whole", home / "torn"
    for folder in (whole, torn):
        folder.mkdir()
        prompts_file(folder, KILLS * 2, tests=TESTS)
    with double_beside(TeacherDouble(answer=mixed)) as double:
        asyncio.run(taught_at(whole, double.base_url))
        once = len(double.asked)
    moods = ("ok", "429", "ok", "ok", "500", "ok") * KILLS
    with double_beside(TeacherDouble(answer=mixed, moods=moods)) as double, nursery() as begin:
        chance = random.Random(5)
        for _ in range(KILLS):
            kill_after(begin, torn, double, chance)
        asyncio.run(taught_at(torn, double.base_url))
        paid = [one for one in double.asked if one.mood == "ok"]
    assert shelved(torn) == shelved(whole)
    assert len({label for _, label in answers(torn)}) == 2
    # Of a call that was under way at a kill nobody can tell; it alone may be asked again.
    assert once <= len(paid) <= once + KILLS * 9
    with closing(TeacherBook(torn / "teachers.db")) as book:
        accounts = [
            book.account(f"month/{month}/{name}") for name in ("coder", "cross", "judge") for month in months(book)
        ]
        spent = sum(one.spent for one in accounts)
        assert sum(one.answers for one in accounts) == once
    kept = {(one.body["model"], one.words): one for one in paid}
    assert spent == sum(one.prompt_tokens * PRICE_IN + one.completion_tokens * PRICE_OUT for one in kept.values())
    assert Decimal(spent) / 10**12 < 100


def months(book: TeacherBook) -> list[str]:
    """The months that something was booked in: a test may run over the turn of one."""
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    assert book is not None
    return sorted({f"{now:%Y-%m}", f"{now - timedelta(minutes=30):%Y-%m}"})


ROWS = (b'{"prompt": "a"}', b'{"messages": [{"role": "user", "content": "a"}]}', b'{"prompt": "a", "more": 1}',
        b'{"prompt": "\\ud800"}', b"[]")  # fmt: skip


@given(st.lists(st.binary() | st.sampled_from(ROWS)))
def test_rows_of_a_file_are_questions_or_none(rows: list[bytes]) -> None:
    """Whatever stands in it, every line that is not empty is one or the other."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_bytes(b"\n".join(rows))
        found = list(prompts_in(path, line()))
        assert len(found) == sum(bool(one.strip()) for one in path.read_bytes().split(b"\n"))
    for one in found:
        assert isinstance(one, str) or (one.messages[0].content and one.key)


def test_lines_take_what_is_theirs() -> None:
    """The line of these tests takes what no other line was meant for."""
    from flywheel.bootstrap.line_makings import is_for

    assert is_for(line(), making())
    assert is_for(line(), making(line="code"))
    assert not is_for(line(), making(line="another"))
    assert not is_for(line(select={"call_types": ["scope"]}), making())
