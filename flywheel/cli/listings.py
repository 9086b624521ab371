"""`outcomes | examples | datasets | runs | adapters | suites | reports …  list | show`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session

from flywheel.cli.contexts import AsJson, Config, Limit, LineOption, out, reading, show_json, show_table
from flywheel.core.errors import MisuseError
from flywheel.store.listings import NOUNS, find_rows, list_rows

Name = Annotated[str, typer.Argument(help="Name, id or hash, or the beginning of one.")]
Command = Callable[..., None]


def noun_app(noun: str, lists: Command | None = None, shows: Command | None = None) -> typer.Typer:
    """Return the `list` and `show` commands of one noun; some have ways of their own."""
    app = typer.Typer(help=f"Look at {noun}.", no_args_is_help=True)

    def list_(line: LineOption = None, limit: Limit = 50, as_json: AsJson = False, config: Config = None) -> None:
        """List the newest, newest first."""
        show_rows(config, noun, {"line": line}, limit, as_json)

    def show(name: Name, as_json: AsJson = False, config: Config = None) -> None:
        """Show one, whole."""
        with reading(config) as (_, store), store.read() as session:
            row = one_row(session, noun, name)
        if as_json:
            show_json(row)
        else:
            show_facts(row)

    app.command("list", epilog=f"Example: flywheel {noun} list --limit 5")(lists or list_)
    app.command("show", epilog=f"Example: flywheel {noun} show NAME --json")(shows or show)
    return app


def show_rows(config: Path | None, noun: str, where: Mapping[str, Any], limit: int, as_json: bool) -> None:
    """List the rows of a noun that have these values, newest first; None asks for any value."""
    wanted = {name: value for name, value in where.items() if value is not None}
    with reading(config) as (_, store), store.read() as session:
        rows = list_rows(session, noun, wanted.pop("line", None), limit, wanted)
    if as_json:
        show_json(rows)
    else:
        show_table(f"{len(rows)} {noun}", NOUNS[noun].columns, rows)


def show_facts(facts: Mapping[str, Any]) -> None:
    """Print names and values, one a line."""
    for key, value in facts.items():
        out.print(f"[bold]{key.replace('_', ' ')}[/bold]  ", end="")
        out.print(str(value), markup=False)


def one_row(session: Session, noun: str, name: str) -> dict[str, Any]:
    """Return the one row that a person means by a name or its beginning."""
    rows = find_rows(session, noun, name)
    if not rows:
        raise MisuseError(f"nothing among the {noun} is called {name!r}", f"see `flywheel {noun} list`")
    if len(rows) > 1:
        raise MisuseError(f"{name!r} begins the names of {len(rows)} {noun}", "give more of the name")
    return rows[0]
