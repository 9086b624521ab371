"""`flywheel adapters prune`: a request to delete the folders of adapters whose life in front of the agent is over."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from flywheel.cli.contexts import AsJson, Config, LineOption, out, reading, show_json, show_table
from flywheel.cli.requests import Reason, Wait, ask_of
from flywheel.core.errors import MisuseError
from flywheel.daemon.bases import fused_in, known_bases
from flywheel.daemon.settings import Settings
from flywheel.store.prunings import Leftover, leftovers
from flywheel.store.stores import Store
from flywheel.store.wishes import Wish

Names = Annotated[list[str] | None, typer.Argument(help="Served names; without any, all whose life is over.")]


def add_to(app: typer.Typer) -> None:
    """Add the command to the `adapters` noun."""
    app.command("prune", epilog="Example: flywheel adapters prune --dry-run")(prune)


def prune(
    names: Names = None,
    line: LineOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go and what stays; delete nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    reason: Reason = "",
    wait: Wait = 60,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Delete the folders of retired and rejected adapters that no server holds; what they were stays on record."""
    with reading(config) as (settings, store):
        found = _found(settings, store, line, names or [])
        rows = [_row(settings, one) for one in found]
    going = [one.name for one in found if not one.kept]
    if dry_run or not going:
        _show(rows, as_json)
        return
    _confirm(rows, going, yes)
    wish = Wish(kind="prune", subject="adapters", reason=reason, body={"names": going})
    ask_of(wish, line or "", wait, as_json, config)


def _found(settings: Settings, store: Store, line: str | None, names: Sequence[str]) -> list[Leftover]:
    with store.read() as session:
        found = leftovers(session, line, fused_in(known_bases(settings)))
    unknown = sorted(set(names) - {one.name for one in found})
    if unknown:
        raise MisuseError(
            f"{', '.join(unknown)} cannot be deleted: only what is retired or rejected and still has its folder can",
            "see `flywheel adapters list`; `flywheel adapters retire NAME` ends an adapter's life",
        )
    return [one for one in found if not names or one.name in names]


def _row(settings: Settings, one: Leftover) -> dict[str, Any]:
    from flywheel.serve.prunings import size_of  # and with it the servers' client, which no other adapter command needs

    folder = settings.home.absolute() / "adapters" / one.adapter.path
    return {"name": one.name, "state": one.state.value, "path": str(folder), "bytes": size_of(folder), "kept": one.kept}


def _show(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show_json(rows)
        return
    from flywheel.serve.prunings import in_words

    told = [{**row, "size": in_words(row["bytes"]), "kept": row["kept"] or "may go"} for row in rows]
    show_table(f"{len(rows)} adapters whose life is over", ("name", "state", "size", "kept"), told)


def _confirm(rows: Sequence[dict[str, Any]], going: Sequence[str], yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise MisuseError("what is deleted does not come back", "add --yes, or look first with --dry-run")
    from flywheel.serve.prunings import in_words

    freed = in_words(sum(row["bytes"] for row in rows if row["name"] in going))
    out.print(f"{', '.join(going)}: {freed}. What is deleted does not come back.", markup=False)
    typer.confirm("Delete these folders?", abort=True)
