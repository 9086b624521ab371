"""`flywheel status`: how things stand, once or as they go."""

import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, NoReturn

import typer

from flywheel.cli.consoles import Colour, Painted, out, screen
from flywheel.cli.contexts import AsJson, Config, LineOption, reading, show_json
from flywheel.cli.standing_words import plain, pools, shown
from flywheel.core.clocks import SystemClock
from flywheel.core.errors import FlywheelError, MisuseError
from flywheel.core.lines import Line
from flywheel.daemon.heartbeats import SILENT_SECONDS, last_beat
from flywheel.daemon.locks import daemon_runs
from flywheel.daemon.places import policies_folder
from flywheel.daemon.settings import Settings
from flywheel.daemon.standings import LineStanding, Standing, Work, gather, why_idle
from flywheel.policy.loading import load_policies
from flywheel.store.stores import Store

Live = Annotated[bool, typer.Option("--live", "-w", help="Go on showing how things stand, until Ctrl-C.")]

_LOOK_SECONDS = 1.0


def status(
    live: Live = False,
    line: LineOption = None,
    as_json: AsJson = False,
    config: Config = None,
    color: Painted = None,
) -> None:
    """Say how each line stands and what it waits for."""
    with reading(config) as (settings, store):
        if line is not None and line not in settings.lines:
            raise MisuseError(
                f"{line!r} is not a line of the settings", f"lines: {', '.join(settings.lines) or 'none'}"
            )
        if live and not as_json and out.is_terminal and not out.is_dumb_terminal:
            _draw(settings, store, line, color)
        if live:
            _follow(settings, store, line, as_json=as_json)
        found, now = look(settings, store, line), SystemClock().now()
    if as_json:
        show_json(document(found))
    else:
        _print(found, now)


def look(settings: Settings, store: Store, line: str | None = None) -> Standing:
    """Return how things stand now; policies that cannot be read are said, not a reason to see nothing."""
    declared, problem = _declared(settings)
    names = [line] if line else list(settings.lines)
    now, runs, beat = SystemClock().now(), daemon_runs(settings.home), last_beat(settings.home)
    with store.read() as session:
        found = gather(session, names, declared, now, daemon=runs)
    silent = max(0.0, (now - beat).total_seconds()) if runs and beat else 0.0
    return found.model_copy(update={"problem": problem, "silent": silent if silent > SILENT_SECONDS else 0.0})


def document(standing: Standing) -> dict[str, Any]:
    """Return how things stand as one document for programs; its shape stays."""
    at = standing.at.isoformat(timespec="seconds") if standing.at else ""
    return {
        "daemon": standing.daemon,
        "silent_seconds": round(standing.silent),
        "at": at,
        "sentence": standing.sentence,
        "problem": standing.problem,
        "lines": [_line(line, standing) for line in standing.lines],
    }


def _line(line: LineStanding, standing: Standing) -> dict[str, Any]:
    states: dict[str, list[str]] = {}
    for one in line.releases:
        states.setdefault(one.state, []).append(one.name)
    return {
        "line": line.line,
        "rung": line.rung,
        "base": line.base,
        "technique": line.technique,
        "pool": line.pool,
        "needs": [{**stock.model_dump(), "missing": stock.missing} for stock in line.stocks],
        "dataset": line.dataset,
        "releases": states,
        "shares": {one.name: round(one.share, 4) for one in line.releases},
        "previous": line.previous,
        "work": [_work(work) for work in line.work],
        "verdict": line.verdict.model_dump(mode="json") if line.verdict else None,
        "paused": line.paused,
        "waits": list(line.waits),
        "why": why_idle(line, daemon=standing.daemon, looked=standing.at is not None),
    }


def _work(work: Work) -> dict[str, Any]:
    return {"job": work.job, "kind": work.kind, "subject": work.subject, "state": work.state, "done": work.done,
            "of": work.of, **work.told}  # fmt: skip


def _declared(settings: Settings) -> tuple[Mapping[str, Line], str]:
    try:
        return load_policies(policies_folder(settings)).lines, ""
    except FlywheelError as error:
        return {}, f"the policies cannot be read: {' '.join(str(error).split())}"


def _print(found: Standing, now: datetime) -> None:
    if out.is_terminal:
        out.print(shown(found, now, out.width), soft_wrap=False)
        return
    for told in plain(found, now):
        out.print(told, markup=False)
    if found.lines:
        out.print()
        out.print(pools(found.lines))


def _follow(settings: Settings, store: Store, line: str | None, *, as_json: bool) -> NoReturn:
    """Say how things stand, and again whenever it is another, until Ctrl-C."""
    last = ""
    while True:
        found = look(settings, store, line)
        told = json.dumps(document(found), ensure_ascii=False, default=str)
        if told != last:
            last = told
            if as_json:
                print(told, flush=True)
            else:
                _print(found, SystemClock().now())
                print(flush=True)
        time.sleep(_LOOK_SECONDS)


def _draw(settings: Settings, store: Store, line: str | None, color: Colour | None) -> NoReturn:
    """Show how things stand in one place, until Ctrl-C."""
    from rich.live import Live as View  # threads and cursor moves that nothing else needs

    console = screen(color)
    with View(console=console, auto_refresh=False, vertical_overflow="crop") as view:
        while True:
            view.update(shown(look(settings, store, line), SystemClock().now(), console.width), refresh=True)
            time.sleep(_LOOK_SECONDS)
