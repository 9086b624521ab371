"""The command line: every error is one line that says what is wrong and what to do."""

import sys
from typing import Annotated, Any, NoReturn

import typer

from flywheel import __version__
from flywheel.cli import (
    bootstraps,
    comparisons,
    contests,
    datasets,
    demos,
    emits,
    environments,
    evidence,
    examples,
    executors,
    explanations,
    exports,
    foreigners,
    forgetting,
    fusions,
    gates,
    journals,
    keys,
    llamas,
    outcomes,
    policies,
    profiles,
    prunings,
    registries,
    requests,
    services,
    sources,
    statuses,
    suites,
    trainings,
)
from flywheel.cli.contexts import err, out
from flywheel.cli.listings import Command, noun_app
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
app.command("llama", epilog="Example: flywheel llama --config flywheel.toml")(llamas.llama)
app.command("executor", epilog="Example: flywheel executor --check")(executors.executor)
app.command("status", epilog="Example: flywheel status --json")(statuses.status)
app.command("decisions", epilog="Example: flywheel decisions --follow --kind rollout.")(statuses.decisions)
app.command("explain", epilog="Example: flywheel explain tool-calling@1")(explanations.explain)
app.command("train", epilog="Example: flywheel train tool-calling")(requests.train)
app.command("gate", epilog="Example: flywheel gate ./my-adapter --base main --line tool-calling")(gates.gate)
app.command("forget", epilog="Example: flywheel forget --session ses_1 --dry-run")(forgetting.forget)
app.command("demo", epilog="Example: flywheel demo --keep")(demos.demo)
app.add_typer(keys.app, name="gateway")
app.add_typer(policies.app, name="policy")
app.add_typer(environments.app, name="env")
app.add_typer(sources.app, name="sources")
app.add_typer(bootstraps.app, name="bootstrap")
app.add_typer(emits.app, name="emit")
#: Nouns that are listed and shown in ways of their own.
_OWN: dict[str, tuple[Command | None, Command]] = {
    "outcomes": (outcomes.list_, outcomes.show),
    "examples": (examples.list_, examples.show),
    "datasets": (None, profiles.show),
    "runs": (None, trainings.show),
    "adapters": (registries.list_, registries.show),
    "reports": (None, journals.show),
    "suites": (suites.list_, suites.show),
}
for _noun in NOUNS:
    _app = noun_app(_noun, *_OWN.get(_noun, ()))
    if _noun == "adapters":
        requests.add_to(_app)
        contests.add_to(_app)
        fusions.add_to(_app)
        foreigners.add_to(_app)
        exports.add_to(_app)
        prunings.add_to(_app)
    if _noun == "examples":
        evidence.add_to(_app)
    if _noun == "runs":
        trainings.add_to(_app)
    if _noun == "reports":
        comparisons.add_to(_app)
        journals.add_to(_app)
    if _noun == "datasets":
        datasets.add_to(_app)
    if _noun == "suites":
        suites.add_to(_app)
    app.add_typer(_app, name=_noun)


def main() -> None:
    """Run the command line."""
    try:
        status = app(standalone_mode=False)
    except FlywheelError as error:
        _leave(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        _leave(_misuse(error), 2)
    else:
        sys.exit(status if isinstance(status, int) else 0)


def _misuse(error: Any) -> str:
    """Return what typer's parser refused as our one line; nothing where it has shown the help already."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return ""
    command = error.ctx.command_path if getattr(error, "ctx", None) else "flywheel"
    told = " ".join(error.format_message().split()).rstrip(".")
    return f"{told} — see `flywheel{command.partition('flywheel')[2]} --help`"


def _leave(message: str, status: int) -> NoReturn:
    if message:
        err.print(f"flywheel: {message}", markup=False, style="red" if err.is_terminal else "")
    sys.exit(status)
