"""The command line: every error is one line that says what is wrong and what to do."""

import sys
from typing import Annotated

import typer

from flywheel import __version__
from flywheel.cli import demos, environments, explanations, policies, requests, services, sources, statuses
from flywheel.cli.contexts import err, out
from flywheel.cli.listings import noun_app
from flywheel.core.errors import FlywheelError
from flywheel.store.listings import NOUNS

app = typer.Typer(
    help="flywheel makes a local coding agent better while it works.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    pass


app.command("run", epilog="Example: flywheel run --config flywheel.toml")(services.run)
app.command("cycle", epilog="Example: flywheel cycle --dry-run")(services.cycle)
app.command("gateway", epilog="Example: flywheel gateway --config flywheel.toml")(services.gateway)
app.command("status", epilog="Example: flywheel status --json")(statuses.status)
app.command("decisions", epilog="Example: flywheel decisions --follow --kind rollout.")(statuses.decisions)
app.command("explain", epilog="Example: flywheel explain tool-calling@1")(explanations.explain)
app.command("train", epilog="Example: flywheel train tool-calling")(requests.train)
app.command("demo", epilog="Example: flywheel demo --keep")(demos.demo)
app.add_typer(policies.app, name="policy")
app.add_typer(environments.app, name="env")
app.add_typer(sources.app, name="sources")
for _noun in NOUNS:
    _app = noun_app(_noun)
    if _noun == "adapters":
        requests.add_to(_app)
    app.add_typer(_app, name=_noun)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except FlywheelError as error:
        err.print(f"flywheel: {error}", markup=False, style="red" if err.is_terminal else "")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
