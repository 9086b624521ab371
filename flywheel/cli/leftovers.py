"""`flywheel gc`: lets go of what nobody needs; through the daemon where one runs, else by itself under its lock."""

import asyncio
import getpass
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from flywheel.cli.contexts import AsJson, Config, reading, show_json, show_table
from flywheel.cli.requests import Reason, Wait, show_answer, wait_for
from flywheel.core.clocks import SystemClock
from flywheel.core.errors import MisuseError
from flywheel.core.requests import Request
from flywheel.daemon.bases import fused_in, known_bases
from flywheel.daemon.houses import keep_room
from flywheel.daemon.locks import daemon_runs, only_daemon
from flywheel.daemon.settings import Settings
from flywheel.keep.plan import stays
from flywheel.keep.run import KeepRoom, in_words
from flywheel.keep.situations import Situation
from flywheel.store.requests import request_by_id
from flywheel.store.stores import Store
from flywheel.store.wishes import Wish, write_wish


def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, what stays and why; delete nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    reason: Reason = "",
    wait: Wait = 60,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Delete what nobody needs: old checkpoints, trials, remains of crashes, adapters long over.

    How long each kind is kept stands in the settings: [keep].
    """
    with reading(config) as (settings, store):
        room = keep_room(settings, store, SystemClock(), fused_in(known_bases(settings)))
        situation = room.looks.whole()
        rows = _rows(situation)
        going = [row for row in rows if not row["stays"]]
        if dry_run or not going:
            _show(rows, as_json)
            return
        _confirm(going, yes)
        answered = _do(settings, store, room, reason, wait)
    show_answer(answered, as_json)


def _rows(situation: Situation) -> list[dict[str, Any]]:
    return [
        {"kind": one.kind, "name": one.name, "line": one.line, "since": one.since, "bytes": one.size,
         "places": list(one.places), "stays": stays(one, situation)}
        for one in situation.leavings
    ]  # fmt: skip


def _show(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show_json(rows)
        return
    told = [{**row, "since": f"{row['since']:%Y-%m-%d}", "size": in_words(row["bytes"]),
             "what becomes of it": row["stays"] or "may go"} for row in rows]  # fmt: skip
    total = sum(row["bytes"] for row in rows if not row["stays"])
    title = f"{sum(not row['stays'] for row in rows)} of {len(rows)} may go: {in_words(total)}"
    show_table(title, ("kind", "name", "since", "size", "what becomes of it"), told)


def _confirm(going: Sequence[dict[str, Any]], yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise MisuseError("what is deleted does not come back", "add --yes, or look first with --dry-run")
    _show(going, as_json=False)
    typer.confirm("Delete these?", abort=True)


def _do(settings: Settings, store: Store, room: KeepRoom, reason: str, wait: float) -> Request:
    wish = Wish(kind="tidy", subject="home", reason=reason)
    if daemon_runs(settings.home):
        return wait_for(store, write_wish(store, "", wish, getpass.getuser(), SystemClock().now()), wait)
    with only_daemon(settings.home, settings.store_url):
        request = write_wish(store, "", wish, getpass.getuser(), SystemClock().now())
        asyncio.run(_perform(room))
        with store.read() as session:
            return request_by_id(session, request.id) or request


async def _perform(room: KeepRoom) -> None:
    for proposal in (await room.propose()).proposals:
        await room.perform(proposal.intent, proposal.cause)
