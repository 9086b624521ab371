"""`outcomes | examples | datasets | runs | adapters | suites | reports …  list | show`."""

from typing import Annotated

import typer

from flywheel.cli.contexts import AsJson, Config, Limit, LineOption, out, reading, show_json, show_table
from flywheel.core.errors import MisuseError
from flywheel.store.listings import NOUNS, find_rows, list_rows

Name = Annotated[str, typer.Argument(help="Name, id or hash, or the beginning of one.")]


def noun_app(noun: str) -> typer.Typer:
    """Return the `list` and `show` commands of one noun."""
    app = typer.Typer(help=f"Look at {noun}.", no_args_is_help=True)

    @app.command("list", epilog=f"Example: flywheel {noun} list --limit 5")
    def list_(line: LineOption = None, limit: Limit = 50, as_json: AsJson = False, config: Config = None) -> None:
        """List the newest, newest first."""
        with reading(config) as (_, store), store.read() as session:
            rows = list_rows(session, noun, line, limit)
        if as_json:
            show_json(rows)
        else:
            show_table(f"{len(rows)} {noun}", NOUNS[noun].columns, rows)

    @app.command("show", epilog=f"Example: flywheel {noun} show NAME --json")
    def show(name: Name, as_json: AsJson = False, config: Config = None) -> None:
        """Show one, whole."""
        with reading(config) as (_, store), store.read() as session:
            row = _one(noun, name, find_rows(session, noun, name))
        if as_json:
            show_json(row)
        else:
            for key, value in row.items():
                out.print(f"[bold]{key.replace('_', ' ')}[/bold]  ", end="")
                out.print(str(value), markup=False)

    return app


def _one(noun: str, name: str, rows: list[dict[str, object]]) -> dict[str, object]:
    if not rows:
        raise MisuseError(f"nothing among the {noun} is called {name!r}", f"see `flywheel {noun} list`")
    if len(rows) > 1:
        raise MisuseError(f"{name!r} begins the names of {len(rows)} {noun}", "give more of the name")
    return rows[0]
