"""`flywheel bootstrap teachers`, and how asking them looks: what it will cost, and how far it is."""

import asyncio
import difflib
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

import typer

from flywheel.bootstrap.engines import Desk, Engine, open_engine
from flywheel.bootstrap.estimates import Estimate
from flywheel.bootstrap.prices import PICOS, told
from flywheel.bootstrap.teacher_books import Account, TeacherBook
from flywheel.bootstrap.teacher_calls import TeacherClient
from flywheel.bootstrap.teacher_keys import read_key
from flywheel.bootstrap.teachers import Teacher
from flywheel.cli.contexts import AsJson, Config, err, out, settings_of, show_json, show_table
from flywheel.core.errors import SettingsError
from flywheel.daemon.places import policies_folder
from flywheel.daemon.settings import Settings
from flywheel.policy.loading import load_policies

_LOOK_SECONDS = 0.25

Done = TypeVar("Done")
Work = Callable[[Engine], Awaitable[Done]]


def show_teachers(
    check: Annotated[
        bool, typer.Option("--check", help="See whether each one is there and takes its key; that costs nothing.")
    ] = False,
    forget: Annotated[
        str | None, typer.Option("--forget", help="Drop the answers about this repo or dataset, and leave.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Show who teaches, what they have cost this month and what they may still cost."""
    settings = settings_of(config)
    if forget is not None:
        _forget(settings, forget, as_json=as_json)
        return
    teachers = checked_teachers(settings)
    rows = [_row(one, account) for one, account in zip(teachers, _accounts(settings, teachers), strict=True)]
    if check:
        rows = [{**row, "problem": told} for row, told in zip(rows, asyncio.run(_looked(teachers)), strict=True)]
    if as_json:
        show_json({"month": _month(), "teachers": rows})
    elif not rows:
        out.print("no teacher: name one in the settings with [[teachers]]", markup=False)
    else:
        columns = ("name", "model", "roles", "lines", "answers", "spent", "left", "key", *(["check"] if check else []))
        show_table(_month(), columns, [_words(row) for row in rows])
    if any(row.get("problem") for row in rows):
        raise typer.Exit(1)


def _forget(settings: Settings, subject: str, *, as_json: bool) -> None:
    path = settings.home / "teachers.db"
    gone = 0
    if path.exists():
        with closing(TeacherBook(path)) as book:
            gone = book.forget(subject)
    if as_json:
        show_json({"forgotten": gone})
    else:
        out.print(f"{gone} answers forgotten", markup=False)


async def _looked(teachers: Sequence[Teacher]) -> list[str]:
    return list(await asyncio.gather(*map(_look, teachers)))


async def _look(teacher: Teacher) -> str:
    try:
        key = read_key(teacher, os.environ)
    except SettingsError as error:
        return str(error)
    async with TeacherClient(teacher, key) as client:
        return await client.look()


def checked_teachers(settings: Settings) -> tuple[Teacher, ...]:
    """Return the teachers of the settings; raises SettingsError where one is for a line that there is not."""
    known = load_policies(policies_folder(settings)).lines if settings.teachers else {}
    for one in settings.teachers:
        for line in one.lines:
            if line not in known:
                near = difflib.get_close_matches(line, known, n=1)
                mend = f"did you mean {near[0]!r}?" if near else "see `flywheel status` for the lines there are"
                raise SettingsError(f"teacher {one.name!r} is for the line {line!r}, which there is not", mend)
    return settings.teachers


def show_estimate(estimate: Estimate, *, as_json: bool) -> None:
    """Show what asking would cost."""
    if as_json:
        show_json(estimate_body(estimate))
        return
    if estimate.nobody:
        err.print(f"{estimate.nobody} questions are for a role that the line has no teacher for", markup=False)
    show_table("", ("teacher", "questions", "likely", "at most"), [
        {"teacher": name, "questions": one.to_ask, "likely": told(one.likely), "at most": told(one.at_most)}
        for name, one in estimate.teachers.items()])  # fmt: skip
    words = f"{estimate.to_ask} to ask, {estimate.cached} answered already"
    out.print(f"{words}: likely {told(estimate.likely)}, at most {told(estimate.at_most)}", markup=False)


def estimate_body(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate as `--json` shows it; amounts in the currency of the prices."""
    return {
        "to_ask": estimate.to_ask, "cached": estimate.cached, "without_teacher": estimate.nobody,
        "likely": _amount(estimate.likely), "at_most": _amount(estimate.at_most),
        "teachers": {name: {"to_ask": one.to_ask, "likely": _amount(one.likely), "at_most": _amount(one.at_most)}
                     for name, one in estimate.teachers.items()},
    }  # fmt: skip


def work_with(desk: Desk, line: str, work: Work[Done], *, budget: Decimal | None, quiet: bool) -> Done:
    """Do some work with a line's teachers, under a bar, and return what came of it.

    A run that comes to its end, also because a bound was reached, is finished; one that is broken off goes on later.
    """
    return asyncio.run(_work_with(desk, line, work, budget, quiet=quiet))


async def _work_with(desk: Desk, line: str, work: Work[Done], budget: Decimal | None, *, quiet: bool) -> Done:
    async with open_engine(desk, line, f"teach/{line}", budget) as engine:
        with asking_bar(engine, quiet=quiet), ending_softly(engine):
            done = await work(engine)
        if not engine.is_stopped:
            engine.finish()
        return done


@contextmanager
def asking_bar(engine: Engine, *, quiet: bool) -> Iterator[None]:
    """Show how far an engine is, the cost so far and to come; where nobody looks, nothing. Needs a running loop."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[cost]}"))
    with Bar(*columns, console=err, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task("", total=None, cost="")

        def show() -> None:
            now = engine.progress
            done = now.asked + now.cached + now.failed
            cost = f"cost {told(now.cost)}, to come about {told(now.to_come)}"
            bar.update(task, completed=done, total=now.of or None, cost=cost)

        async def follow() -> None:
            while True:
                show()
                await asyncio.sleep(_LOOK_SECONDS)

        following = asyncio.get_running_loop().create_task(follow())
        try:
            yield
        finally:
            following.cancel()
            show()


@contextmanager
def ending_softly(engine: Engine) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end what is under way and begin nothing more; a second one breaks off."""
    import signal

    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    asked = 0

    def end() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            err.print("ending: what is under way is waited for; once more breaks it off", markup=False)
            engine.stop()
        elif task is not None:
            task.cancel()

    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _accounts(settings: Settings, teachers: Sequence[Teacher]) -> list[Account]:
    path = settings.home / "teachers.db"
    if not path.exists():
        return [Account() for _ in teachers]
    with closing(TeacherBook(path)) as book:
        return [book.account(f"month/{_month()}/{one.name}") for one in teachers]


def _row(teacher: Teacher, account: Account) -> dict[str, Any]:
    bound = teacher.month_picos
    return {
        "name": teacher.name, "base_url": teacher.base_url, "model": teacher.model, "roles": list(teacher.roles),
        "lines": list(teacher.lines), "answers": account.answers, "spent": _amount(account.spent),
        "set_aside": _amount(account.held), "lost": _amount(account.lost),
        "left": None if bound is None else _amount(max(0, bound - account.taken)), "key": _key(teacher, os.environ),
    }  # fmt: skip


def _words(row: Mapping[str, Any]) -> dict[str, Any]:
    # What is lost may have been charged: for people it is spent.
    spent = row["spent"] + row["lost"]
    left = "no bound" if row["left"] is None else f"{row['left']:.4f}"
    lines = ", ".join(row["lines"]) or "all"
    told = {"roles": ", ".join(row["roles"]), "lines": lines, "spent": f"{spent:.4f}", "left": left}
    return {**row, **told, "check": row.get("problem") or "well"}


def _key(teacher: Teacher, env: Mapping[str, str]) -> str:
    if teacher.key_env is None and teacher.key_file is None and teacher.key_credential is None:
        return "none"
    with suppress(SettingsError):
        read_key(teacher, env)
        return "there"
    return "missing"


def _amount(picos: int) -> float:
    return float(Decimal(picos) / PICOS)


def _month() -> str:
    return f"{datetime.now(UTC):%Y-%m}"
