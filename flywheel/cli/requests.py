"""`flywheel train LINE` and `flywheel adapters promote | rollback | retire | approve`: requests to the daemon."""

import getpass
import time
from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli.contexts import AsJson, Config, out, reading, show_json
from flywheel.core.ablations import Ablation
from flywheel.core.clocks import SystemClock
from flywheel.core.errors import MisuseError, PermanentError, UnavailableError
from flywheel.core.ids import split_served_name
from flywheel.core.requests import Request
from flywheel.store import wishes
from flywheel.store.requests import request_by_id
from flywheel.store.stores import Store
from flywheel.store.wishes import Wish

Adapter = Annotated[str, typer.Argument(help="Served name, as in tool-calling@3.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the ledger.")]
Wait = Annotated[float, typer.Option("--wait", help="Seconds to wait for the daemon's answer; 0 does not wait.")]


def add_to(app: typer.Typer) -> None:
    """Add the adapter commands to the `adapters` noun."""
    app.command("approve", epilog="Example: flywheel adapters approve tool-calling@1")(approve)
    app.command("promote", epilog="Example: flywheel adapters promote tool-calling@2 --override --reason 'trial'")(
        promote
    )
    app.command("rollback", epilog="Example: flywheel adapters rollback tool-calling@2")(rollback)
    app.command("retire", epilog="Example: flywheel adapters retire tool-calling@1")(retire)


def approve(
    name: Adapter, reason: Reason = "", wait: Wait = 10, as_json: AsJson = False, config: Config = None
) -> None:
    """Approve an adapter, as the first promotion of a line needs."""
    ask(Wish(kind="approve", subject=name, reason=reason), wait, as_json, config)


def promote(
    name: Adapter,
    reason: Reason = "",
    override: Annotated[
        bool, typer.Option("--override", help="Even without a passing verdict; starts as a canary.")
    ] = False,
    wait: Wait = 10,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Promote an adapter; with --override one that did not pass its gate starts a canary on your word."""
    if override and not reason:
        raise MisuseError("an override needs its reason", "add --reason 'why'")
    ask(Wish(kind="promote", subject=name, reason=reason, override=override), wait, as_json, config)


def rollback(
    name: Adapter, reason: Reason = "", wait: Wait = 10, as_json: AsJson = False, config: Config = None
) -> None:
    """Take an adapter back at once; the one before, or the base, answers again."""
    ask(Wish(kind="roll_back", subject=name, reason=reason), wait, as_json, config)


def retire(name: Adapter, reason: Reason = "", wait: Wait = 10, as_json: AsJson = False, config: Config = None) -> None:
    """End an adapter's life in front of the agent for good."""
    ask(Wish(kind="retire", subject=name, reason=reason), wait, as_json, config)


def train(
    line: Annotated[str, typer.Argument(help="A line of the settings, as in tool-calling.")],
    reason: Reason = "",
    ablate: Annotated[
        str, typer.Option("--ablate", help="Train on the last dataset once for each value, as in rank=32,64.")
    ] = "",
    wait: Wait = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show how far the run is until it ends.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only say what would stop the next run.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Train a line now, through the guardrails, without waiting for its trigger."""
    from flywheel.cli import trainings  # which asks through this module, too

    if check:
        from flywheel.cli.checks import check_line  # the whole train room: only where it is asked for

        raise typer.Exit(check_line(line, as_json, config))
    before = trainings.runs_of(line, config) if follow else frozenset()
    if ablate:
        body = Ablation.parse(ablate).model_dump(mode="json")
        answered = ask(Wish(kind="ablate", subject=line, reason=reason, body=body), wait, as_json, config)
    else:
        answered = ask(Wish(kind="train", subject=line, reason=reason), wait, as_json, config)
    if follow and answered.state != "refused":
        trainings.follow_line(line, before, as_json, config)


def ask(wish: Wish, wait: float, as_json: bool, config: Path | None) -> Request:
    """Write what a person wishes, wait for the daemon, and say what became of it."""
    with reading(config) as (settings, _):
        line = _line_of(wish)
        if line not in settings.lines:
            raise MisuseError(
                f"{line!r} is not a line of the settings", f"lines: {', '.join(settings.lines) or 'none'}"
            )
    return ask_of(wish, line, wait, as_json, config)


def ask_of(wish: Wish, line: str, wait: float, as_json: bool, config: Path | None) -> Request:
    """Write down what a person asks about a line, and say what became of it."""
    with reading(config) as (_, store):
        answered = wait_for(store, write_wish(store, line, wish), wait)
    show_answer(answered, as_json)
    return answered


def show_answer(answered: Request, as_json: bool) -> None:
    """Say what became of a request; one that was refused is a failure."""
    if as_json:
        show_json(answered.model_dump(mode="json"))
    elif answered.state == "refused":
        raise PermanentError(answered.answer)
    elif answered.state == "satisfied":
        out.print(answered.answer, markup=False)
    else:
        out.print(f"asked ({answered.id}); no answer yet: see `flywheel requests show {answered.id}`")


def _line_of(wish: Wish) -> str:
    if wish.kind in {"train", "ablate"}:
        return wish.subject
    name = split_served_name(wish.subject)
    if name is None:
        raise MisuseError(f"{wish.subject!r} is not the name of an adapter", "names look like tool-calling@3")
    return name[0]


def write_wish(store: Store, line: str, wish: Wish) -> Request:
    """Write down what the person at this terminal wishes, with its event; return it as a request."""
    return wishes.write_wish(store, line, wish, getpass.getuser(), SystemClock().now())


def wait_for(store: Store, request: Request, seconds: float) -> Request:
    """Return the request as soon as it was answered, or as it stands after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        with store.read() as session:
            found = request_by_id(session, request.id)
        if found is None:
            raise UnavailableError(f"request {request.id} is gone")
        if found.state != "open" or time.monotonic() >= end:
            return found
        time.sleep(0.1)
