"""`flywheel adapters compare A B`: lets two adapters share a line's traffic, and shows what came of it."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session

from flywheel.cli import requests
from flywheel.cli.contexts import AsJson, Config, out, reading, show_json, show_table
from flywheel.core.clocks import SystemClock
from flywheel.core.contests import Contest, contest_of
from flywheel.core.errors import MisuseError, PermanentError
from flywheel.core.frozen import Frozen
from flywheel.core.ids import split_served_name
from flywheel.core.requests import Request
from flywheel.store.ledger import events
from flywheel.store.requests import newest_requests
from flywheel.store.stores import Store
from flywheel.store.wishes import Wish

First = Annotated[str, typer.Argument(help="Served name, as in plan@3.")]
Second = Annotated[str, typer.Argument(help="The other adapter of the same line, as in plan@4.")]
Share = Annotated[float, typer.Option("--share", min=0.01, max=0.99, help="The second one's share of the sessions.")]
Hours = Annotated[float, typer.Option("--hours", min=0.01, help="The longest it may take.")]
Override = Annotated[
    bool, typer.Option("--override", help="Even with one that did not pass its gate, or was taken back.")
]
Stop = Annotated[bool, typer.Option("--stop", help="End the contest of the two now, or call it off.")]
ReportOnly = Annotated[bool, typer.Option("--report", help="Only show the last contest of the two.")]

_LOOK_SECONDS = 0.1
_COLUMNS = ("adapter", "share", "tasks", "success", "from", "to", "calls", "failed", "latency ms")


class Shown(Frozen):
    """A contest as it stands: the request that asked for it, and its report once it has begun."""

    request: Request
    contest: Contest
    report: dict[str, Any] | None


def add_to(app: typer.Typer) -> None:
    """Add the command to the `adapters` noun."""
    app.command("compare", epilog="Example: flywheel adapters compare plan@3 plan@4 --hours 48")(compare)


def compare(
    first: First,
    second: Second,
    share: Share = 0.5,
    hours: Hours = 72,
    override: Override = False,
    reason: requests.Reason = "",
    report: ReportOnly = False,
    stop: Stop = False,
    wait: requests.Wait = 10,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Let two adapters answer a line's sessions until one is proven better or the time is over; then it is as before.

    Once the contest has begun, and after its end, --report shows both with intervals that hold at any moment.
    """
    wanted = Contest(first=first, second=second, share=share, hours=hours, stop=stop)
    if not report:
        _ask(wanted, override, reason, wait, config)
    with reading(config) as (_, store), store.read() as session:
        shown = _last(session, wanted)
    if shown is None:
        raise MisuseError(f"{first} and {second} were never compared", "leave --report away to compare them")
    if as_json:
        show_json(shown.model_dump(mode="json"))
    else:
        _show(shown)


def _ask(wanted: Contest, override: bool, reason: str, wait: float, config: Path | None) -> None:
    if override and not reason:
        raise MisuseError("an override needs its reason", "add --reason 'why'")
    lines = [split_served_name(name) for name in wanted.names]
    if lines[0] is None or lines[1] is None or lines[0][0] != lines[1][0]:
        raise MisuseError(
            f"{wanted.first!r} and {wanted.second!r} are not two adapters of one line", "names look like plan@3"
        )
    body = wanted.model_dump(mode="json", include={"second", "share", "hours", "stop"})
    wish = Wish(kind="compare", subject=wanted.first, reason=reason, override=override, body=body)
    with reading(config) as (settings, store):
        if lines[0][0] not in settings.lines:
            raise MisuseError(f"{lines[0][0]!r} is not a line of the settings")
        made = requests.write_wish(store, lines[0][0], wish)
        _await(store, made, wait)


def _await(store: Store, made: Request, seconds: float) -> None:
    """Wait until the contest has begun, or was refused, or the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = requests.wait_for(store, made, 0)
        if found.state == "refused":
            raise PermanentError(found.answer)
        if found.state != "open" or found.body.get("since"):
            return
        time.sleep(_LOOK_SECONDS)


def _last(session: Session, wanted: Contest) -> Shown | None:
    """Return the newest contest of two adapters that was not refused, whoever of them was named first."""
    for request in newest_requests(session, "compare"):
        contest = contest_of(request)
        if contest is not None and contest.is_of(wanted) and not contest.stop and request.state != "refused":
            return Shown(request=request, contest=contest, report=_report(session, request, contest))
    return None


def _report(session: Session, request: Request, contest: Contest) -> dict[str, Any] | None:
    if contest.since is None:
        return None
    for event in reversed(events(session, kinds=["rollout.contest_ended"], subject=request.subject)):
        if event.body.get("request") == request.id:
            return dict(event.body["report"])
    from flywheel.rollout.contests import report_of  # only where one is counted: the command line starts quickly
    from flywheel.rollout.readings import contest_calls, contest_results

    hours = (SystemClock().now() - contest.since).total_seconds() / 3600
    results, calls = contest_results(session, request.line, contest), contest_calls(session, request.line, contest)
    return report_of(contest, request.line, results, calls, hours).model_dump(mode="json")


def _show(shown: Shown) -> None:
    contest = shown.contest
    if shown.report is None:
        out.print(f"asked ({shown.request.id}); the contest has not begun: see `flywheel status`", markup=False)
        return
    rows = [
        {
            "adapter": arm["name"], "share": f"{arm['share']:.0%}", "tasks": arm["tasks"], "success": arm["rate"],
            "from": arm["low"], "to": arm["high"], "calls": arm["calls"], "failed": arm["failed_calls"],
            "latency ms": arm["latency_ms"],
        } for arm in shown.report["arms"]
    ]  # fmt: skip
    runs = shown.request.state == "open"
    state = f"runs for {shown.report['hours']:g} of {contest.hours:g} hours" if runs else "ended"
    show_table(f"the contest {state}", _COLUMNS, rows)
    sure = f"{(1 - shown.report['alpha']) * 100:g} %"
    gap = shown.report["difference"]
    told = "not known" if gap is None else f"{gap:+.3f}"
    out.print(
        f"success of {contest.second} minus that of {contest.first}: {told}, between {shown.report['low']:+.3f} and "
        f"{shown.report['high']:+.3f} ({sure} sure, whenever you look)",
        markup=False,
    )
    out.print(shown.request.answer or shown.report["sentence"], markup=False, style="bold")
