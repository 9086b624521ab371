"""`flywheel sources list | probe`."""

from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli.contexts import AsJson, Config, out, reading, show_json, show_table
from flywheel.core.errors import PermanentError
from flywheel.sources.probes import probe_source
from flywheel.store.counters import counters, cursor

app = typer.Typer(help="Look at the watched databases.", no_args_is_help=True)


@app.command("list", epilog="Example: flywheel sources list --json")
def list_(as_json: AsJson = False, config: Config = None) -> None:
    """List the watched databases, how far each was read and what is wrong with it."""
    with reading(config) as (settings, store), store.read() as session:
        rows = [
            {
                "name": source.name,
                "path": str(source.path),
                "problem": str(cursor(session, f"health:{source.name}").get("problem", "")),
                "outcomes": counters(session, f"source:{source.name}"),
            }
            for source in settings.sources
        ]
    if as_json:
        show_json(rows)
    else:
        show_table("sources", ("name", "path", "problem", "outcomes"), rows)


@app.command("probe", epilog="Example: flywheel sources probe ~/agent/agent.db")
def probe(
    path: Annotated[Path, typer.Argument(help="A database an agent writes.")],
    as_json: AsJson = False,
) -> None:
    """Say what a file is, what it holds, and what cannot be read and why. Writes nothing."""
    report = probe_source(path.expanduser().absolute())
    if as_json:
        show_json(report.model_dump(mode="json"))
    elif report.readable:
        out.print(report.words, markup=False)
    if not report.readable:
        raise PermanentError(f"{report.path} {report.problem}", report.mend)
