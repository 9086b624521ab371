"""`flywheel examples superseded | pairs`: what later evidence changed, and what preferences are learned from."""

from typing import Any

import typer

from flywheel.cli.contexts import AsJson, Config, Limit, LineOption, out, reading, show_json, show_table
from flywheel.store.pairs import list_pairs
from flywheel.store.supersessions import Superseded, superseded

_SUPERSEDED = ("at", "line", "example", "now", "why", "datasets", "adapters")
_PAIRS = ("seq", "at", "line", "kind", "withdrawn", "chosen", "rejected", "id")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the `examples` noun."""
    app.command("superseded", epilog="Example: flywheel examples superseded --line tool-calling")(superseded_)
    app.command("pairs", epilog="Example: flywheel examples pairs --line tool-calling --json")(pairs)


def superseded_(line: LineOption = None, limit: Limit = 50, as_json: AsJson = False, config: Config = None) -> None:
    """List examples of frozen datasets whose evidence has changed since, and the adapters that learned from them."""
    with reading(config) as (_, store), store.read() as session:
        found = superseded(session, line, limit)
    if as_json:
        show_json([one.model_dump(mode="json") for one in found])
        return
    show_table(f"{len(found)} superseded examples", _SUPERSEDED, [_row(one) for one in found])
    active = sorted({made.name for one in found for made in one.adapters if made.state in {"active", "canary"}})
    if active:
        out.print(f"in front of the agent now: {', '.join(active)}", markup=False)


def pairs(line: LineOption = None, limit: Limit = 50, as_json: AsJson = False, config: Config = None) -> None:
    """List preference pairs, newest first: the answer to prefer, the answer to avoid."""
    with reading(config) as (_, store), store.read() as session:
        rows = [one.model_dump(mode="json") for one in list_pairs(session, line, limit)]
    if as_json:
        show_json(rows)
    else:
        show_table(f"{len(rows)} pairs", _PAIRS, rows)


def _row(one: Superseded) -> dict[str, Any]:
    return {
        "at": f"{one.at:%Y-%m-%d %H:%M}",
        "line": one.line,
        "example": one.example[:8],
        "now": one.label,
        "why": one.reason,
        "datasets": ", ".join(f"{held.number} ({held.part})" for held in one.datasets),
        "adapters": ", ".join(f"{made.name} ({made.state})" for made in one.adapters),
    }
