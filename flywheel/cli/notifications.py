"""`flywheel notify test | list`: whether the addresses of the settings hear what they are told."""

import asyncio
from typing import Annotated, Any

import typer

from flywheel.cli.contexts import AsJson, Config, out, reading, settings_of, show_json, show_table
from flywheel.core.clocks import SystemClock
from flywheel.core.errors import MisuseError, PermanentError
from flywheel.daemon.notification_couriers import PREFIX, Standing, standing_of
from flywheel.daemon.notification_kinds import TEST, Notice, events_of
from flywheel.daemon.notification_settings import NotifySettings
from flywheel.daemon.notification_ways import UndeliveredError, deliver, where
from flywheel.daemon.settings import Settings
from flywheel.store.counters import cursor
from flywheel.store.ledger import next_event

app = typer.Typer(help="Try and list who is told of what happens.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Addresses of the settings; all of them when none is named.")]


@app.command("test", epilog="Example: flywheel notify test")
def try_(names: Names = None, as_json: AsJson = False, config: Config = None) -> None:
    """Send one notification that says it is a test, and say who took it; exit code 1 when somebody did not."""
    targets = _chosen(settings_of(config), names or [])
    rows = asyncio.run(_try_all(targets))
    if as_json:
        show_json(rows)
    for row in rows if not as_json else ():
        out.print(f"{row['name']}: {row['problem'] or 'taken by ' + row['where']}", markup=False)
    refused = [row for row in rows if row["problem"]]
    if refused:
        first = refused[0]
        raise PermanentError(
            f"{len(refused)} of {len(rows)} did not take it: {first['name']}, {first['problem']}",
            "mend the address in [[notify]] (docs/notifications.md)",
        )


@app.command("list", epilog="Example: flywheel notify list --json")
def list_(as_json: AsJson = False, config: Config = None) -> None:
    """List who is told of what, and how it goes."""
    with reading(config) as (settings, store), store.read() as session:
        rows = []
        for target in settings.notify:
            known = standing_of(cursor(session, PREFIX + target.name))
            waits = known is not None and next_event(session, events_of(target.kinds), known.seq) is not None
            rows.append(_row(target, known or Standing(), waits=waits))
    if as_json:
        show_json(rows)
    elif rows:
        show_table("notifications", ("name", "where", "kinds", "delivered", "waits", "problem"), rows)
    else:
        out.print("nobody is told: add [[notify]] to the settings (docs/notifications.md)", markup=False)


def _row(target: NotifySettings, known: Standing, *, waits: bool) -> dict[str, Any]:
    problem = f"{known.failures} tries failed: {known.reason}" if known.failures else ""
    return {
        "name": target.name,
        "where": where(target),
        "kinds": ", ".join(target.kinds),
        "lines": list(target.lines),
        "delivered": known.delivered,
        "delivered_at": known.delivered_at,
        "waits": waits,
        "problem": problem,
    }


def _chosen(settings: Settings, names: list[str]) -> list[NotifySettings]:
    known = {target.name: target for target in settings.notify}
    if not known:
        raise MisuseError("the settings name nobody to tell", "add [[notify]] (docs/notifications.md)")
    for name in names:
        if name not in known:
            raise MisuseError(f"no notification address is called {name!r}", f"addresses: {', '.join(known)}")
    return [target for name, target in known.items() if not names or name in names]


async def _try_all(targets: list[NotifySettings]) -> list[dict[str, str]]:
    problems = await asyncio.gather(*map(_try, targets))
    return [
        {"name": target.name, "where": where(target), "problem": problem}
        for target, problem in zip(targets, problems, strict=True)
    ]


async def _try(target: NotifySettings) -> str:
    clock = SystemClock()
    sentence = "a test: this address hears of " + ", ".join(target.kinds)
    notice = Notice(kind=TEST, event="", seq=None, at=clock.now(), sentence=sentence)
    try:
        await deliver(target, notice, clock)
    except UndeliveredError as error:
        return error.message
    return ""
