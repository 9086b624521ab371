"""The training runs, and one run with its curves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from sqlmodel import Session

from flywheel.core.errors import MisuseError
from flywheel.core.events import Event
from flywheel.daemon.standings import Work, work_of
from flywheel.proc.curves import Curves, read_curves, thinned
from flywheel.store.chronicles import last_seq, runs_before
from flywheel.store.jobs import job_by_id
from flywheel.store.ledger import events
from flywheel.store.runs import Adapter, Run, adapter_of_run, run_by_id
from flywheel.web.desks import desk_of
from flywheel.web.elements import Child, Html, badge, el, link, moment
from flywheel.web.event_parts import events_table, line_link, name_link
from flywheel.web.filters import place
from flywheel.web.line_pages import work_bar
from flywheel.web.numbers import lasted, number
from flywheel.web.pages import respond
from flywheel.web.plots import Words, curve_plot
from flywheel.web.tables import empty, facts, of_line, pager, section, table

_PAGE, _STEPS, _EVENTS = 40, 16, 40
_HEAD = ("Run", "Line", "State", "Began (UTC)", "Took", "Dataset", "Loss at its end", "Error")
_STATES = {"finished": "pass", "failed": "fail", "cancelled": "open"}
#: Which curves stand in one picture: losses are compared, a learning rate is of another size.
_PICTURES = (("Loss", ("train/loss", "eval/loss")), ("Learning rate", ("train/learning_rate",)))


@dataclass(frozen=True)
class _Found:
    """What the store knows of a run."""

    run: Run
    work: Work | None
    adapter: Adapter | None
    events: list[Event]
    seq: int


def add_to(router: web.UrlDispatcher) -> None:
    """Answer for the runs."""
    router.add_get("/runs", show_runs)
    router.add_get("/runs/{run}", show_run)


async def show_runs(request: web.Request) -> web.Response:
    """List the newest runs, of all lines or of one."""
    desk, line, before = desk_of(request), request.query.get("line") or None, place(request)
    found, seq = await desk.read(_list, line, before)
    rows = [_row(run) for run in found[:_PAGE]]
    older = of_line(line, before=found[_PAGE - 1].seq) if len(found) > _PAGE else None
    newest = of_line(line) if before is not None else None
    nothing = empty("No run was started yet: a line trains when it has a dataset and its guardrails agree.")
    listed = table("Runs", _HEAD, rows, frozenset({4, 6})) if rows else nothing
    title = f"Runs of {line}" if line else "Runs"
    body = section("runs", "Newest first", listed, pager(("runs",), newest, older), live=before is None)
    return respond(request, title, el("h1", title), body, seq=seq)


async def show_run(request: web.Request) -> web.Response:
    """Show a run: how far it is, its curves, what it was asked to do, and how it came to be."""
    desk, name = desk_of(request), request.match_info["run"]
    found = await desk.read(_gather, name)
    curves = await desk.apart(read_curves, _folder(desk.settings.home, found.run))
    run = found.run
    top = el(
        "div",
        el("p", badge(run.state, _STATES.get(run.state, "")), " ", run.error or _sentence(found), class_="lead"),
        work_bar(found.work) if found.work is not None and run.state == "running" else None,
        _facts(found),
        id="now",
        data_live=True,
    )
    parts = [
        top,
        section("curves", "Curves", _curves(run, curves)),
        section("asked", "What it was asked to do", _asked(run.spec), live=False),
        section("happened", "What happened", events_table("What happened", reversed(found.events))),
    ]
    return respond(request, run.id, el("h1", run.id), parts, seq=found.seq)


def _list(session: Session, line: str | None, before: int | None) -> tuple[list[Run], int]:
    return runs_before(session, line, before, _PAGE + 1), last_seq(session)


def _gather(session: Session, name: str) -> _Found:
    run = run_by_id(session, name)
    if run is None:
        raise MisuseError(f"there is no run {name}", "all runs stand on the page of runs")
    job = job_by_id(session, f"train-{name}")
    told = events(session, subject=name, limit=_EVENTS)
    return _Found(run, work_of(job) if job else None, adapter_of_run(session, name), told, last_seq(session))


def _folder(home: Path, run: Run) -> Path:
    return home / "runs" / run.id


def _row(run: Run) -> list[Child]:
    loss = run.result.get("loss")
    return [
        link(run.id, "runs", run.id), line_link(run.line), badge(run.state, _STATES.get(run.state, "")),
        moment(run.started_at), lasted(run.started_at, run.finished_at), name_link(run.dataset),
        number(loss) if loss is not None else None, run.error[:120],
    ]  # fmt: skip


def _sentence(found: _Found) -> str:
    run = found.run
    if run.state == "running":
        return "it is under way"
    took = lasted(run.started_at, run.finished_at)
    return f"it took {took}" if took else "it has ended"


def _facts(found: _Found) -> Html:
    run = found.run
    told: list[tuple[str, Child]] = [
        ("Line", line_link(run.line)),
        ("Dataset", name_link(run.dataset)),
        ("Base", run.spec.get("base_name")),
        ("Technique", run.spec.get("technique")),
        ("Adapter", name_link(found.adapter.name) if found.adapter else None),
        ("Began", moment(run.started_at)),
        ("Ended", moment(run.finished_at) if run.finished_at else None),
    ]
    told += [(key.replace("_", " "), number(value)) for key, value in run.result.items() if _is_number(value)]
    return facts(told)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _curves(run: Run, curves: Curves) -> list[Child]:
    """Return the pictures of a run's curves with a table of the same numbers; without any, why there are none."""
    shown: list[Child] = []
    for title, names in _PICTURES:
        chosen = {name: curves[name] for name in names if curves.get(name)}
        told = "; ".join(f"{name} from {_end(points[0])} to {_end(points[-1])}" for name, points in chosen.items())
        drawn = curve_plot(Words(f"{title} of {run.id}", f"{told}. The table below says the same."), chosen)
        if drawn is not None:
            shown += [el("h3", title), drawn, _numbers(title, chosen)]
    if shown:
        return shown
    words = "The first step is not done yet." if run.state == "running" else "Its curves are not there any more."
    return [empty(words)]


def _end(point: Any) -> str:
    return f"{point.value:.4g} at step {point.step}"


def _numbers(title: str, curves: Curves) -> Html:
    steps = thinned(sorted({point.step for points in curves.values() for point in points}), _STEPS)
    known = {name: dict(points) for name, points in curves.items()}
    rows = [[f"{step}", *[_at(known[name], step) for name in curves]] for step in steps]
    told = table(title, ("Step", *curves), rows, frozenset(range(1, len(curves) + 1)))
    return el("details", el("summary", f"{title} in numbers"), told, id=f"numbers-{title.lower().replace(' ', '-')}")


def _at(points: dict[int, float], step: int) -> str | None:
    return f"{points[step]:.4g}" if step in points else None


def _asked(spec: dict[str, Any]) -> Html:
    """Return everything a run's outcome depends on."""
    told = [
        (key, value) for key, value in spec.items() if not isinstance(value, dict | list) and value not in {"", None}
    ]
    parameters = spec.get("hyperparameters", {})
    told += [(key, value) for key, value in parameters.items() if not isinstance(value, dict | list)]
    remedies = spec.get("remedies") or []
    more: list[tuple[str, Any]] = [("remedies", ", ".join(map(str, remedies)))] if remedies else []
    return facts([(key.replace("_", " "), _said(value)) for key, value in [*told, *more]])


def _said(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else number(value)
