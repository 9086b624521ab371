"""How asking teachers looks: who there is, what it will cost, and how it ends softly."""

import asyncio
import json
import os
import signal
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from teacher_house import PRICE_IN, PRICE_OUT, double_beside, questions, quick, said, teacher, until
from typer.testing import CliRunner

from flywheel.bootstrap.engines import Desk, Engine, foresee_for, open_engine
from flywheel.bootstrap.questions import Answer
from flywheel.bootstrap.teacher_books import Account, Claim, Taken, TeacherBook
from flywheel.bootstrap.teacher_doubles import TeacherDouble
from flywheel.cli.bootstrap_teachers import asking_bar, ending_softly, estimate_body, show_estimate, work_with
from flywheel.cli.main import app
from flywheel.core.errors import SettingsError

HEAD = """[[teachers]]
name = "large"
base_url = "http://127.0.0.1:9/v1"
model = "m"
price_in = 2.5
price_out = 10
budget_month = 1
key_env = "NOBODY_HAS_THIS"
"""


@pytest.fixture
def run(home: Path) -> Any:
    """Run `flywheel bootstrap …` on a home of its own with these settings."""

    def call(more: str, *words: str, code: int = 0) -> Any:
        config = home / "flywheel.toml"
        config.write_text(f'home = "{home / "home"}"\n{more}')
        result = CliRunner().invoke(app, ["bootstrap", *words, "--config", str(config)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code
        return result

    return call


def test_who_teaches_is_shown_with_what_is_left(run: Any, home: Path) -> None:
    """Each teacher with its roles, what it has cost this month, what is left, and whether its key is there."""
    assert "[[teachers]]" in run("", "teachers").stdout
    before = json.loads(run(HEAD, "teachers", "--json").stdout)["teachers"]
    assert not (home / "home" / "teachers.db").exists()
    assert [(one["name"], one["left"], one["key"]) for one in before] == [("large", 1.0, "missing")]
    with closing(TeacherBook(home / "home" / "teachers.db")) as book:
        now = datetime.now(UTC)
        for key in ("a", "b"):
            call = book.claim(Claim(key, "large", 1, f"{now:%Y-%m}", 10**11, {}), "o", lambda _: True)
            assert isinstance(call, Taken)
        book.settle(call, Answer(teacher="large", model="m", at=now, text="t", cost=5 * 10**10), "", None)
        book.sweep(lambda _: False)
    (after,) = json.loads(run(HEAD, "teachers", "--json").stdout)["teachers"]
    assert (after["spent"], after["lost"], after["left"], after["answers"]) == (0.05, 0.1, 0.85, 1)
    shown = run(HEAD, "teachers").stdout
    assert "0.1500" in shown
    assert "0.8500" in shown


def test_a_line_that_is_not_there_is_told(run: Any) -> None:
    """A teacher of a line that nobody knows would teach nobody: that is an error that names the nearest."""
    with pytest.raises(SettingsError, match=r"'paln'.*did you mean 'plan'"):
        run(HEAD + 'lines = ["paln"]\n', "teachers")


def test_an_estimate_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What asking would cost, for people and for programs."""
    one = teacher("http://127.0.0.1:9/v1")
    estimate = foresee_for(Desk(home, [one]), "code", [*questions(3), *questions(1, role="judge")])
    show_estimate(estimate, as_json=True)
    body = json.loads(capsys.readouterr().out)
    assert body == json.loads(json.dumps(estimate_body(estimate)))
    assert (body["to_ask"], body["without_teacher"]) == (3, 1)
    assert 0 < body["likely"] < body["at_most"] < 1
    show_estimate(estimate, as_json=False)
    assert "3 to ask, 0 answered already" in capsys.readouterr().out


@pytest.mark.asyncio
async def test_a_signal_ends_it_softly(home: Path) -> None:
    """The first Ctrl-C waits for what is under way and begins nothing more."""
    async with TeacherDouble(seconds=0.3).running() as double:
        desk = Desk(home, [teacher(double.base_url, concurrency=2)], sleep=quick)
        async with open_engine(desk, "code", "x") as engine:
            with asking_bar(engine, quiet=True), ending_softly(engine):
                asking = asyncio.create_task(engine.ask(questions(8)))
                await until(lambda: double.asked)
                os.kill(os.getpid(), signal.SIGINT)
                replies = await asking
            assert engine.account.held == engine.account.lost == 0
    assert said(replies).count("<stopped>") == 8 - len(double.asked)
    assert 0 < len(double.asked) < 8


def test_work_that_comes_to_its_end_finishes_its_run(home: Path) -> None:
    """What was broken off goes on as the same run; what ended, also at a bound, is followed by a fresh one."""

    async def stops(engine: Engine) -> Account:
        await engine.ask(questions(3, max_tokens=64))
        engine.stop()
        return engine.account

    async def goes_on(engine: Engine) -> Account:
        await engine.ask(questions(40, max_tokens=64))
        return engine.account

    with double_beside(TeacherDouble()) as double:
        desk = Desk(home, [teacher(double.base_url, budget_run="0.002")], sleep=quick)
        first, second, third = (work_with(desk, "code", work, budget=None, quiet=True)
                                for work in (stops, goes_on, goes_on))  # fmt: skip
    assert 0 < first.spent < second.spent <= 2 * 10**9
    assert 0 < third.spent <= 2 * 10**9
    assert second.spent + third.spent == double.charged(PRICE_IN, PRICE_OUT)


def test_a_check_says_what_stands_in_the_way(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away, without its key, refused, without the model, well: each is told, and anything but the last ends with 1."""
    free = HEAD.replace("key_env", "# key_env")
    assert "has no key" in check(run, HEAD, 1)
    assert "nobody answers" in check(run, free, 1)
    monkeypatch.setenv("NOBODY_HAS_THIS", "k")
    for double, said_of_it, code in (
        (TeacherDouble(), "", 0),
        (TeacherDouble(models=("other",)), "does not list the model 'm'", 1),
        (TeacherDouble(moods=("401",)), "401", 1),
    ):
        with double_beside(double):
            assert said_of_it in check(run, HEAD.replace("http://127.0.0.1:9/v1", double.base_url), code)
            assert double.asked == []


def check(run: Any, settings: str, code: int) -> str:
    """What `--check` says of the one teacher of these settings."""
    result = run(settings, "teachers", "--check", "--json", code=code)
    return str(json.loads(result.stdout)["teachers"][0]["problem"])


def test_answers_about_something_are_dropped(run: Any, home: Path) -> None:
    """`--forget` leaves no word of them in the file."""
    assert json.loads(run("", "teachers", "--forget", "repo", "--json").stdout) == {"forgotten": 0}
    with closing(TeacherBook(home / "home" / "teachers.db")) as book:
        call = book.claim(Claim("a", "large", 1, "2026-01", 1, {}), "o", lambda _: True)
        assert isinstance(call, Taken)
        now = datetime.now(UTC)
        book.settle(call, Answer(teacher="large", model="m", at=now, text="a word to forget"), "repo", None)
    assert "1 answers forgotten" in run("", "teachers", "--forget", "repo").stdout
    assert not any(b"a word to forget" in part.read_bytes() for part in (home / "home").glob("teachers.db*"))
