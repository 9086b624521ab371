"""`flywheel forget --repo | --session | --example`: a request to the daemon, and beforehand what it would find."""

import getpass
import secrets
import sys
from typing import Annotated

import typer

from flywheel.bootstrap.withdrawals import withdraw
from flywheel.cli.contexts import AsJson, Config, out, reading, show_json
from flywheel.cli.requests import Reason, show_answer, wait_for
from flywheel.core.clocks import SystemClock
from flywheel.core.errors import MisuseError
from flywheel.core.events import Event
from flywheel.core.forgetting import ForgetReport, Scope, ScopeKind
from flywheel.core.ids import short
from flywheel.core.requests import Request
from flywheel.sources.forgets import answer_of, find
from flywheel.store.forgotten import mark, salt_of
from flywheel.store.ledger import append
from flywheel.store.listings import find_rows
from flywheel.store.requests import make_request
from flywheel.store.stores import Store

Repo = Annotated[str | None, typer.Option("--repo", help="A repo, as `flywheel outcomes show` names it.")]
Session = Annotated[str | None, typer.Option("--session", help="A session of an agent.")]
Example = Annotated[str | None, typer.Option("--example", help="An example's id, or the beginning of one.")]


def forget(
    repo: Repo = None,
    session: Session = None,
    example: Example = None,
    until_now: Annotated[
        bool, typer.Option("--until-now", help="Only what is there now: later records of it may come in again.")
    ] = False,
    purge_datasets: Annotated[
        bool, typer.Option("--purge-datasets", help="Also delete the frozen datasets and suites that hold it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what there is of it, and forget nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    reason: Reason = "",
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for the daemon; 0 does not wait.")] = 60,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Forget a repo, a session or an example: its words leave the store and the capture, and never come back."""
    with reading(config) as (settings, store):
        scope = _scope(store, {"repo": repo, "session": session, "example": example})
        scope = scope.model_copy(update={"until_now": until_now, "purge": purge_datasets})
        with store.read() as opened:
            found = find(opened, settings.home, scope)
        if dry_run:
            _show(found, scope, as_json)
            return
        _confirm(found, scope, yes)
        withdraw(settings.home, scope)  # first, so that no look finds it again on the shelf
        answered = wait_for(store, _ask(store, scope, reason), wait)
    show_answer(answered, as_json)


def _scope(store: Store, given: dict[str, str | None]) -> Scope:
    named = [(kind, name) for kind, name in given.items() if name]
    if len(named) != 1:
        raise MisuseError("say what to forget", "one of --repo, --session and --example")
    kind, name = named[0]
    kinds: dict[str, ScopeKind] = {"repo": "repo", "session": "session", "example": "example"}
    return Scope(kind=kinds[kind], name=_whole_id(store, name) if kind == "example" else name)


def _whole_id(store: Store, name: str) -> str:
    with store.read() as session:
        rows = find_rows(session, "examples", name)
    if len(rows) != 1:
        found = "no example" if not rows else f"{len(rows)} examples"
        raise MisuseError(f"{found} begin with {name!r}", "see `flywheel examples list`")
    return str(rows[0]["id"])


def _show(found: ForgetReport, scope: Scope, as_json: bool) -> None:
    if as_json:
        show_json(found.model_dump(mode="json"))
        return
    told = answer_of(found, until_now=scope.until_now, purged=scope.purge, kind=scope.kind)
    out.print(f"dry run, nothing was changed: {told}", markup=False)


def _confirm(found: ForgetReport, scope: Scope, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise MisuseError("forgetting cannot be undone", "add --yes, or look first with --dry-run")
    out.print(f"There are {found.sentence}. Forgetting cannot be undone.", markup=False)
    typer.confirm(f"Forget this {scope.kind}?", abort=True)


def _ask(store: Store, scope: Scope, reason: str) -> Request:
    """Write the request. The ledger is for ever: it gets the name's hash; the name itself leaves with the rest."""
    now, by = SystemClock().now(), getpass.getuser()
    request_id = f"req-{secrets.token_hex(4)}"
    with store.write() as session:
        name = scope.name if scope.kind == "example" else mark(salt_of(session), scope.kind, scope.name)
        subject = f"{scope.kind} {short(name)}"
        told = {"request": request_id, "by": by, "kind": "forget", "reason": reason}
        seq = append(session, Event(kind="operator.request_made", at=now, subject=subject, body=told))
        request = Request(id=request_id, kind="forget", line="", subject=subject, reason=reason, by=by, at=now,
                          cause=seq, body={"scope": scope.model_dump(mode="json")})  # fmt: skip
        make_request(session, request)
    return request
