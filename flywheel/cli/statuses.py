"""`flywheel status` and `flywheel decisions`: how things stand, and what was decided."""

import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from flywheel.cli.contexts import AsJson, Config, Limit, LineOption, out, reading, show_json
from flywheel.core.errors import MisuseError
from flywheel.core.events import EVENTS, Event
from flywheel.daemon.locks import daemon_runs
from flywheel.daemon.settings import Settings
from flywheel.store.counters import counters, cursor
from flywheel.store.jobs import open_jobs
from flywheel.store.ledger import events
from flywheel.store.listings import count_releases
from flywheel.store.stores import Store

DECIDED = ("policy.", "gate.", "rollout.", "train.", "operator.", "serve.", "curate.dataset")


def status(as_json: AsJson = False, config: Config = None) -> None:
    """Say how each line stands and what it waits for."""
    with reading(config) as (settings, store):
        found = _status(settings, store)
    if as_json:
        show_json(found)
        return
    out.print(f"daemon: {'running' if found['daemon'] else 'not running: start it with `flywheel run`'}")
    if found["sentence"]:
        out.print(f"last word ({found['at']}): {found['sentence']}", markup=False)
    for line in found["lines"]:
        _show_line(line)


def decisions(
    line: LineOption = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Only this kind, or kinds that begin so, as in rollout.")
    ] = None,
    since: Annotated[str | None, typer.Option("--since", help="Only since then: 2h, 3d, or 2026-01-31.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as new ones come.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List what was decided and done, oldest first, with its number for `flywheel explain`."""
    kinds = [name for name in EVENTS if name.startswith(kind or DECIDED)]
    if not kinds:
        raise MisuseError(f"no event is called {kind!r}", "kinds are listed in docs/events.md")
    moment = _since(since) if since else 0
    with reading(config) as (_, store):
        with store.read() as session:
            found = events(session, line=line, kinds=kinds, after=moment, limit=limit)
        if as_json and not follow:
            show_json([event.model_dump(mode="json") for event in found])
            return
        last = _print(found, as_json, 0)
        while follow:
            time.sleep(0.3)
            with store.read() as session:
                last = _print(events(session, line=line, kinds=kinds, after=last), as_json, last)


def _print(found: list[Event], as_json: bool, last: int) -> int:
    for event in found:
        if as_json:
            out.print(event.model_dump_json(), markup=False)
        else:
            words = event.body.get("sentence") or event.body.get("why") or EVENTS[event.kind]
            out.print(
                f"#{event.seq:<5} {event.at:%Y-%m-%d %H:%M:%S}  {event.kind:<30} {event.subject}  {words}", markup=False
            )
    return max([last, *[event.seq or 0 for event in found]])


def _since(text: str) -> datetime:
    units = {"m": "minutes", "h": "hours", "d": "days"}
    try:
        if text[-1:] in units and text[:-1].isdecimal():
            return datetime.now(UTC) - timedelta(**{units[text[-1]]: int(text[:-1])})
        parsed = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise MisuseError(f"--since {text!r} is not a time", "write 30m, 2h, 3d or 2026-01-31") from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _status(settings: Settings, store: Store) -> dict[str, Any]:
    with store.read() as session:
        said: dict[str, Any] = cursor(session, "daemon:status")
        jobs = open_jobs(session)
        lines = [
            {
                "line": line,
                "pool": counters(session, f"line:{line}"),
                "releases": count_releases(session, line),
                "work": [{"job": job.id, "state": job.state.value, **job.progress} for job in jobs if job.line == line],
                "waits": said.get("waits", {}).get(line, []),
            }
            for line in settings.lines
        ]
    return {
        "daemon": daemon_runs(settings.home),
        "at": said.get("at", ""),
        "sentence": said.get("sentence", ""),
        "lines": lines,
    }


def _show_line(line: dict[str, Any]) -> None:
    out.print(f"\n[bold]{line['line']}[/bold]")
    releases = line["releases"]
    out.print(
        f"  answers: {', '.join(releases.get('active', [])) or 'the base model'}"
        + (f"; canary: {', '.join(releases['canary'])}" if "canary" in releases else "")
        + (f"; listening: {', '.join(releases['shadow'])}" if "shadow" in releases else "")
    )
    if line["pool"]:
        out.print("  pool: " + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in line["pool"].items()))
    for work in line["work"]:
        done, of = work.get("step", work.get("done")), work.get("of")
        out.print(
            f"  at work: {work['job']} {work['state']}" + (f", {done} of {of}" if done is not None and of else "")
        )
    for wait in line["waits"]:
        out.print(f"  waits: {wait}", markup=False)
