"""Asking teachers: once each, paid within the bounds, whatever the server does."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from teacher_house import PRICE_IN, PRICE_OUT, ask, questions, quick, said, teacher, until

from flywheel.bootstrap.engines import Desk, foresee_for, open_engine
from flywheel.bootstrap.prices import PICOS
from flywheel.bootstrap.questions import bound_of, key_of
from flywheel.bootstrap.teacher_books import TeacherBook
from flywheel.bootstrap.teacher_doubles import TeacherDouble
from flywheel.core.clocks import ManualClock
from flywheel.core.outcomes import Message

pytestmark = pytest.mark.asyncio

EXPECTED = [f"what is {number}"[::-1] for number in range(64)]


async def test_what_is_charged_is_what_is_booked(home: Path) -> None:
    """Where no call is without an end, the book says to the last digit what the server charges."""
    moods = ("429", "500", "ok", "429", "truncated", "500", "wrong", "400")
    async with TeacherDouble(moods=moods).running() as double:
        replies, account, progress = await ask(home, [teacher(double.base_url)], questions(20))
        charged = double.charged(PRICE_IN, PRICE_OUT)
        again, after, second = await ask(home, [teacher(double.base_url)], questions(20))
    assert account.spent == charged
    assert (account.held, account.lost) == (0, 0)
    assert account.spent == sum(reply.answer.cost for reply in replies if reply.answer)
    assert (progress.asked, progress.failed, progress.of, progress.to_come) == (19, 1, 20, 0)
    assert [reply.problem for reply in replies].count("refused") == 1
    assert (second.cached, second.asked) == (19, 1)
    assert after.spent == double.charged(PRICE_IN, PRICE_OUT)
    assert said(again).count("something else") == 1


async def test_every_mood_is_lived_through(home: Path) -> None:
    """429, 500, 502, silence, a broken line and what is no answer are tried again; a cut answer is marked as one."""
    moods = ("429", "500", "502", "slow", "malformed", "cut", "truncated", "wrong")
    async with TeacherDouble(moods=moods, slow_seconds=2).running() as double:
        one = teacher(double.base_url, timeout_seconds=1.5, concurrency=4)
        replies, account, _ = await ask(home, [one], questions(12))
    answers = [reply.answer for reply in replies]
    assert all(answers)
    assert [answer.ended for answer in answers].count("length") == 1
    assert sum(text == right for text, right in zip(said(replies), EXPECTED, strict=False)) == 10
    assert account.spent == sum(answer.cost for answer in answers)
    assert account.spent + account.lost >= double.charged(PRICE_IN, PRICE_OUT) > account.spent
    assert len(double.asked) == 12 + 6


async def test_a_second_run_asks_nothing(home: Path) -> None:
    """What was answered is answered from the book: the same words, the same moment, no cost."""
    async with TeacherDouble().running() as double:
        first, account, _ = await ask(home, [teacher(double.base_url)], questions(8))
    second, after, progress = await ask(home, [teacher(double.base_url)], questions(8))
    assert [one.answer for one in first] == [one.answer for one in second]
    assert all(one.cached for one in second)
    assert after == account
    assert progress.cached == 8


async def test_the_same_is_asked_once_at_the_same_time(home: Path) -> None:
    """Twenty times the same question is one call; another take is another."""
    async with TeacherDouble(seconds=0.02).running() as double:
        asked = questions(1) * 20 + questions(1, take=1)
        replies, _, _ = await ask(home, [teacher(double.base_url)], asked)
    assert said(replies) == EXPECTED[:1] * 21
    assert len(double.asked) == 2


async def test_a_budget_is_used_up_and_never_passed(home: Path) -> None:
    """Calls go on while their bounds fit; then questions are over budget, and the run, started again, asks nothing."""
    async with TeacherDouble(seconds=0.005).running() as double:
        one = teacher(double.base_url, budget_run="0.004")
        asked = questions(64, max_tokens=256)
        replies, account, _ = await ask(home, [one], asked)
        count = len(double.asked)
        again, _, _ = await ask(home, [one], asked)
        assert len(double.asked) == count
    assert 0 < said(replies).count("<over_budget>") < 64
    assert said(again) == said(replies)
    assert account.spent == double.charged(PRICE_IN, PRICE_OUT) <= 4 * 10**9
    assert account.spent + bound_of(one, asked[-1]) > 4 * 10**9


async def test_bounds_of_run_and_month_hold_together(home: Path) -> None:
    """After a finished run comes one with a fresh bound, within the month's; `budget` bounds all teachers together."""
    async with TeacherDouble().running() as double:
        one = teacher(double.base_url, budget_run="0.004", budget_month="0.006", concurrency=1)
        asked = questions(200, max_tokens=64)
        for _ in range(4):
            async with open_engine(Desk(home, [one], sleep=quick), "code", "teach/code") as engine:
                await engine.ask(asked)
                assert engine.account.taken <= 4 * 10**9
                engine.finish()
        month = double.charged(PRICE_IN, PRICE_OUT)
        assert 4 * 10**9 < month <= 6 * 10**9
        replies, account, _ = await ask(home / "other", [one], asked, Decimal("0.002"))
    assert "<over_budget>" in said(replies)
    assert 0 < account.taken <= 2 * 10**9


async def test_what_is_no_answer_is_asked_three_times_a_run(home: Path) -> None:
    """A question without an answer is left alone until the run is finished; each is taken as charged."""
    async with TeacherDouble(moods=("malformed",) * 9).running() as double:
        one = teacher(double.base_url)
        replies, account, _ = await ask(home, [one], questions(1))
        again, after, _ = await ask(home, [one], questions(1))
        assert said(replies) == said(again) == ["<malformed>"]
        assert len(double.asked) == 3
        assert account == after
        assert account.lost == 3 * bound_of(one, questions(1)[0])
        async with open_engine(Desk(home, [one], sleep=quick), "code", "teach/code") as engine:
            engine.finish()
        await ask(home, [one], questions(1))
    assert len(double.asked) == 6
    assert len({asked.headers["idempotency-key"] for asked in double.asked}) == 3


async def test_a_wrong_key_is_told_at_once(home: Path) -> None:
    """After a 401 nobody asks that teacher any more in the run, and nothing is spent."""
    async with TeacherDouble(moods=("401",) * 99).running() as double:
        replies, account, _ = await ask(home, [teacher(double.base_url, concurrency=2)], questions(30))
    assert set(said(replies)) == {"<refused>"}
    assert "401" in replies[-1].note
    assert len(double.asked) <= 2
    assert account.taken == 0


async def test_one_that_is_away_is_not_asked_for_ever(home: Path) -> None:
    """A teacher that nobody can reach is given up for the run; the questions can be asked again later."""
    async with TeacherDouble().running() as double:
        url = double.base_url
    one = teacher(url, tries=2, concurrency=2)
    replies, account, _ = await ask(home, [one], questions(40))
    assert set(said(replies)) == {"<unavailable>"}
    assert account.taken == 0
    async with TeacherDouble().running() as double:
        replies, _, _ = await ask(home, [teacher(double.base_url)], questions(40))
    assert said(replies) == EXPECTED[:40]


async def test_who_wants_to_be_left_alone_is(home: Path) -> None:
    """`Retry-After` holds for everyone who asks that teacher."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    async with TeacherDouble(moods=("429",), retry_after="0.4").running() as double:
        desk = Desk(home, [teacher(double.base_url, concurrency=1)], sleep=sleep)
        async with open_engine(desk, "code", "teach/code") as engine:
            replies = await engine.ask(questions(3))
    assert said(replies) == EXPECTED[:3]
    assert 0.4 <= slept[0] <= 1.5


async def test_rate_and_concurrency_are_kept(home: Path) -> None:
    """No more at once than the teacher takes, and calls begin no closer than its rate."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    async with TeacherDouble(seconds=0.01).running() as double:
        await ask(home / "a", [teacher(double.base_url, concurrency=3)], questions(12))
        assert double.most_at_once == 3
        desk = Desk(home / "b", [teacher(double.base_url, rate=60)], ManualClock(), sleep)
        async with open_engine(desk, "code", "teach/code") as engine:
            await engine.ask(questions(6))
    assert [round(pause) for pause in sorted(pauses)] == [1, 2, 3, 4, 5]


async def test_a_secret_is_never_sent(home: Path) -> None:
    """A question in which something looks like a secret is answered by nobody, and so is one without a teacher."""
    held = questions(1, messages=(Message(role="user", content="token = 'ghp_" + "a1B2" * 9 + "'"),))
    async with TeacherDouble().running() as double:
        replies, _, _ = await ask(home, [teacher(double.base_url)], [*held, *questions(1, role="judge")])
    assert said(replies) == ["<secret>", "<no_teacher>"]
    assert double.asked == []


async def test_one_that_counts_too_much_is_asked_no_more(home: Path) -> None:
    """What the server counts is booked as it counts; when that is more than it was allowed, it is asked no more."""
    async with TeacherDouble(moods=("greedy",)).running() as double:
        one = teacher(double.base_url, concurrency=1)
        replies, account, _ = await ask(home, [one], questions(5))
    assert said(replies)[1:] == ["<refused>"] * 4
    assert account.spent == double.charged(PRICE_IN, PRICE_OUT) > 10 * PICOS


async def test_what_is_broken_off_is_taken_as_spent(home: Path) -> None:
    """A call whose end nobody waited for keeps what was set aside for it, and is asked again when it is wanted."""
    async with TeacherDouble(seconds=1).running() as double:
        one, (question,) = teacher(double.base_url), questions(1)
        asking = asyncio.create_task(ask(home, [one], [question]))
        await until(lambda: double.asked)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        book = TeacherBook(home / "teachers.db")
        assert book.account("run/1").lost == bound_of(one, question)
        assert book.account("run/1").held == 0
        book.close()
        double.seconds = 0
        replies, account, _ = await ask(home, [one], [question])
    assert said(replies) == EXPECTED[:1]
    assert account.spent + account.lost >= double.charged(PRICE_IN, PRICE_OUT)


async def test_replies_come_as_they_are_and_may_be_left(home: Path) -> None:
    """Of a row of any length a little is taken ahead; who leaves early leaves nothing running."""
    taken = 0

    def endless():
        nonlocal taken
        for question in questions(10_000):
            taken += 1
            yield question

    async with TeacherDouble(seconds=0.01).running() as double:
        desk = Desk(home, [teacher(double.base_url, concurrency=2)], sleep=quick)
        async with open_engine(desk, "code", "teach/code") as engine:
            got = 0
            async for reply in engine.replies(endless()):
                assert reply.answer
                got += 1
                if got == 10:
                    break
            engine.stop()
            assert said(await engine.ask(questions(40)[-1:])) == ["<stopped>"]
    assert taken <= 10 + 4 + 2
    book = TeacherBook(home / "teachers.db")
    assert book.account("run/1").held == 0
    book.close()


async def test_the_cost_is_foreseen(home: Path) -> None:
    """A dry run counts what is to be asked and what that costs at most and likely; it asks nothing and learns."""
    async with TeacherDouble().running() as double:
        one = teacher(double.base_url)
        async with open_engine(Desk(home, [one], sleep=quick), "code", "teach/code") as engine:
            before = engine.foresee([*questions(10), *questions(3), *questions(1, role="cross")])
            assert double.asked == []
            replies = await engine.ask(questions(5))
            after = engine.foresee(questions(10))
    assert (before.to_ask, before.cached, before.nobody) == (10, 3, 1)
    assert before.at_most == sum(bound_of(one, question) for question in questions(10))
    assert (after.to_ask, after.cached) == (5, 5)
    paid = sum(reply.answer.cost for reply in replies)
    assert paid * 0.9 <= after.likely <= paid * 1.1 < before.likely


async def test_a_dry_run_needs_nothing_and_leaves_nothing(home: Path) -> None:
    """Without a key, a server or a home, what it would cost is told; no file is made."""
    one = teacher("http://127.0.0.1:9/v1", key_env="NOBODY")
    estimate = foresee_for(Desk(home, [one], env={}), "code", questions(3))
    assert (estimate.to_ask, estimate.at_most) == (3, 3 * bound_of(one, questions(1)[0]))
    assert list(home.iterdir()) == []


async def test_stopping_ends_pauses_and_begins_nothing(home: Path) -> None:
    """Once stopped, what is under way is still taken in, and nobody waits for a server that wants to be left alone."""
    async with TeacherDouble(moods=("ok", "429"), retry_after="500").running() as double:
        desk = Desk(home, [teacher(double.base_url, concurrency=1)])
        async with open_engine(desk, "code", "x") as engine:
            asking = asyncio.create_task(engine.ask(questions(9)))
            await until(lambda: len(double.asked) == 2)
            await asyncio.sleep(0.1)
            assert not asking.done()
            engine.stop()
            replies = await asyncio.wait_for(asking, 60)
    assert said(replies) == [EXPECTED[0], *["<stopped>"] * 8]
    assert len(double.asked) == 2


async def test_nothing_of_our_environment_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody's shell says of another account is not sent to a teacher; its own key is."""
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, "http://elsewhere")
    async with TeacherDouble().running() as double:
        desk = Desk(home, [teacher(double.base_url, key_env="OURS")], env={"OURS": "our-key"})
        async with open_engine(desk, "code", "x") as engine:
            await engine.ask(questions(1))
    assert double.asked[0].headers["authorization"] == "Bearer our-key"
    assert "elsewhere" not in str(double.asked[0].headers)


async def test_the_book_holds_no_question_and_is_private(home: Path) -> None:
    """Only the owner may read the answers; the questions' words are not among them; a subject can be forgotten."""
    async with TeacherDouble(answer=lambda _: "yes").running() as double:
        one, asked = teacher(double.base_url), questions(2, subject="repo")
        await ask(home, [one], asked)
    path = home / "teachers.db"
    assert path.stat().st_mode & 0o077 == 0
    assert not any(b"what is 1" in part.read_bytes() for part in home.glob("teachers.db*"))
    book = TeacherBook(path)
    assert book.forget("repo") == 2
    assert book.answer(key_of(one, asked[0])) is None
    assert book.account("run/1").spent > 0
    book.close()


async def test_thoughts_come_beside_the_words(home: Path) -> None:
    """What a thinking teacher thought is kept apart from what it said."""
    async with TeacherDouble(reasoning="first this").running() as double:
        replies, _, _ = await ask(home, [teacher(double.base_url, roles=["thinking"])], questions(1, role="thinking"))
    assert replies[0].answer.reasoning == "first this"
    assert replies[0].answer.text == EXPECTED[0]
