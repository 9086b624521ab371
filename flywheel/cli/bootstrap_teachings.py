"""`flywheel bootstrap teach`: has a line's teachers work, and lays what can be believed on the shelf."""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from flywheel.bootstrap.engines import Desk, Engine
from flywheel.bootstrap.estimates import foresee
from flywheel.bootstrap.prices import PICOS, told
from flywheel.bootstrap.rehearsals import rehearse
from flywheel.bootstrap.shelves import Shelf
from flywheel.bootstrap.task_registries import tasks_for
from flywheel.bootstrap.teacher_books import TeacherBook
from flywheel.bootstrap.teacher_tasks import Kind, Material, Task
from flywheel.bootstrap.teachers import ROLES, Staff, Teacher, teachers_for
from flywheel.bootstrap.teachings import Classroom, Extent, Progress, Say, Tally, teach
from flywheel.cli.bootstrap_teachers import checked_teachers, show_estimate, work_with
from flywheel.cli.contexts import AsJson, Config, err, out, settings_of, show_json, show_table
from flywheel.cli.executors import executor_socket
from flywheel.core.errors import MisuseError
from flywheel.core.lines import Line
from flywheel.daemon.places import policies_folder
from flywheel.daemon.settings import Settings
from flywheel.policy.loading import load_policies
from flywheel.sandbox.clients import Executor

if TYPE_CHECKING:
    from flywheel.store.stores import Store

_WORDS: Mapping[Kind, str] = {"believed": "believed", "waiting": "waits", "refused": "not believed", "left": "left"}
_KINDS = tuple(_WORDS)


class _Order(NamedTuple):
    """What a person wants: of which line, which tasks, how much, at which cost, from which files."""

    line: Line
    tasks: Sequence[Task]
    extent: Extent
    budget: Decimal | None
    files: tuple[Path, ...]


class _Done(NamedTuple):
    """What came of it: by task, and what the engine counted."""

    tallies: Mapping[str, Tally]
    asked: int
    cached: int
    cost: int
    stopped: bool


def teach_line(
    line: Annotated[str, typer.Argument(help="The line that is to learn.")],
    task: Annotated[
        list[str] | None,
        typer.Option("--task", help="Only this task; may be given again. Else all that suit the line."),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option("--from", help="A file of questions, one JSON object a line; or a clone, for orders."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many subjects of each task.")] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", help="What this run may cost at most, over all teachers.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost; nothing is asked.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Work anew on what was settled; answers are not paid twice.")
    ] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Have a line's teachers answer, reason, plan and judge; what can be believed is kept. Goes on where it stopped."""
    settings = settings_of(config)
    teachers = checked_teachers(settings)
    found = _standing(settings, _line(settings, line))
    order = _Order(found, tasks_for(found, task or ()), Extent(limit, again), _amount(budget), tuple(files or ()))
    staff = teachers_for(teachers, line)
    if not staff.teachers:
        raise MisuseError(f"nobody teaches {line}", "name a teacher in the settings with [[teachers]]")
    if not order.tasks:
        raise MisuseError(f"no task suits {line} by itself", "name one with --task")
    with _material(settings, order, staff) as material:
        if dry_run:
            _rehearse(settings, order, material, staff, as_json=as_json)
            return
        done = _teach(settings, teachers, order, material, quiet=as_json)
    if line not in settings.lines:
        err.print(f"{line} is switched off: nobody learns from this until the settings name it in lines", markup=False)
    _show(order, done, as_json=as_json)


def _line(settings: Settings, name: str) -> Line:
    lines = load_policies(policies_folder(settings)).lines
    if name not in lines:
        near = difflib.get_close_matches(name, lines, n=1)
        mend = f"did you mean {near[0]!r}?" if near else f"lines: {', '.join(sorted(lines))}"
        raise MisuseError(f"there is no line {name!r}", mend)
    return _on_its_rung(settings, lines[name])


def _on_its_rung(settings: Settings, line: Line) -> Line:
    """Return a line as it stands today; its file says where it began."""
    from flywheel.store.rungs import on_its_rung

    with _store(settings) as store:
        if store is None:
            return line
        with store.read() as session:
            return on_its_rung(session, line)


def _standing(settings: Settings, line: Line) -> Line:
    """Return a line as high as it has climbed: which tasks suit it depends on that."""
    from flywheel.store.rungs import on_its_rung

    with _store(settings) as store:
        if store is None:
            return line
        with store.read() as session:
            return on_its_rung(session, line)


def _amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except ArithmeticError:
        amount = Decimal(0)
    if not amount.is_finite() or amount <= 0:
        raise MisuseError(f"{text!r} is no amount to spend", "give one above zero, as in --budget 2.50")
    return amount


@contextmanager
def _material(settings: Settings, order: _Order, staff: Staff) -> Iterator[Material]:
    roles = frozenset(role for role in ROLES if staff.of(role) is not None)
    with Shelf(settings.home / "bootstrap.db") as shelf, _store(settings) as store:
        yield Material(order.line, settings.home, shelf, roles, order.files, store)


@contextmanager
def _store(settings: Settings) -> "Iterator[Store | None]":
    """Give the store where there is one; a cold start has none yet."""
    url = settings.store_url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        yield None
        return
    from flywheel.store.stores import open_store

    with open_store(url) as store:
        yield store


def _rehearse(settings: Settings, order: _Order, material: Material, staff: Staff, *, as_json: bool) -> None:
    path = settings.home / "teachers.db"
    with closing(TeacherBook(path if path.exists() else None)) as book:
        asked = chain.from_iterable(rehearse(task, material, staff, book, order.extent) for task in order.tasks)
        estimate = foresee(staff, book, asked)
    show_estimate(estimate, as_json=as_json)
    if not as_json:
        out.print("for the first questions; what follows from the answers (a judge, a second try) comes on top",
                  markup=False)  # fmt: skip


def _teach(settings: Settings, teachers: Sequence[Teacher], order: _Order, material: Material, *, quiet: bool) -> _Done:
    async def work(engine: Engine) -> _Done:
        tallies: dict[str, Tally] = {}
        room = Classroom(material, engine, Executor(executor_socket(settings)))
        before = engine.progress.cost
        with _bar(quiet=quiet) as say:
            for task in order.tasks:
                tallies[task.name] = await teach(task, room, order.extent, say)
        now = engine.progress
        return _Done(tallies, now.asked, now.cached, now.cost - before, engine.is_stopped)

    return work_with(Desk(settings.home, teachers), order.line.name, work, budget=order.budget, quiet=True)


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Say]:
    """Give a bar by subjects for each task, with the cost so far and to come; where nobody looks, nothing."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
               TextColumn("{task.fields[cost]}"))  # fmt: skip
    with Bar(*columns, console=err, disable=quiet or not err.is_terminal) as bar:
        shown: dict[str, Any] = {}

        def say(progress: Progress) -> None:
            if progress.task not in shown:
                shown[progress.task] = bar.add_task(progress.task, total=progress.of, cost="")
            cost = f"cost {told(progress.cost)}, to come about {told(progress.to_come)}"
            bar.update(shown[progress.task], completed=progress.done, total=progress.of, cost=cost)

        yield say


def _show(order: _Order, done: _Done, *, as_json: bool) -> None:
    if as_json:
        show_json(_body(order, done))
        return
    show_table(
        "", ("task", "subjects", "ended", "because"), [row for one in done.tallies.items() for row in _rows(*one)]
    )
    settled = sum((one.settled for one in done.tallies.values()), Counter[Kind]())
    made = sum(one.makings for one in done.tallies.values())
    out.print(f"{made} examples; {settled.total()} subjects were settled before ({settled['waiting']} of them wait)",
              markup=False)  # fmt: skip
    out.print(f"{done.asked} questions asked, {done.cached} answered already; cost {told(done.cost)}", markup=False)
    for note in sorted({f"{reason}: {note}" for one in done.tallies.values() for reason, note in one.notes.items()}):
        err.print(f"left for another time: {note}", markup=False)


def _rows(task: str, tally: Tally) -> list[dict[str, Any]]:
    """Return the ends of a task: what is believed first, of each kind the most frequent reason first."""
    ends = sorted(tally.ends.items(), key=lambda one: (_KINDS.index(one[0][0]), -one[1], one[0][1]))
    return [{"task": task, "subjects": count, "ended": _WORDS[kind], "because": reason or None}
            for (kind, reason), count in ends]  # fmt: skip


def _body(order: _Order, done: _Done) -> dict[str, Any]:
    return {
        "line": order.line.name,
        "tasks": {name: {**_counts(tally), "settled_before": dict(tally.settled), "makings": tally.makings,
                         "notes": tally.notes} for name, tally in done.tallies.items()},
        "asked": done.asked, "cached": done.cached, "cost": float(Decimal(done.cost) / PICOS), "stopped": done.stopped,
    }  # fmt: skip


def _counts(tally: Tally) -> dict[str, Any]:
    """Return how many ended how; of those that are not believed, by their reasons."""
    reasons: dict[str, dict[str, int]] = {"waiting": {}, "refused": {}, "left": {}}
    for (kind, reason), count in tally.ends.items():
        if kind != "believed":
            reasons[kind][reason] = count
    return {"believed": tally.ends["believed", ""], **reasons}
