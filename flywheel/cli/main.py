"""The command line: every error is one line that says what is wrong and what to do."""

import sys
from typing import Annotated, Any, NoReturn

import typer

from flywheel import __version__
from flywheel.cli.consoles import err, out
from flywheel.cli.late_commands import late, late_app, late_group
from flywheel.cli.nouns import WAYS
from flywheel.core.errors import FlywheelError

#: Every command: where it stands below `flywheel/cli`, what it does in one sentence, how it is typed.
COMMANDS = {
    "init": late(
        "inits:init",
        "Find agents, models, a GPU and model servers, and write settings and policies for them.",
        "flywheel init --yes",
    ),
    "run": late(
        "services:run",
        "Run the daemon until it is told to stop (SIGTERM, SIGINT); SIGHUP reloads settings and policies.",
        "flywheel run --config flywheel.toml",
    ),
    "cycle": late("services:cycle", "Run one cycle and say in one sentence what it did.", "flywheel cycle --dry-run"),
    "web": late(
        "webs:web",
        "Run the dashboard until it is told to stop; `flywheel run` does so itself unless `web.enabled` is false.",
        "flywheel web --config flywheel.toml",
    ),
    "llama": late(
        "llamas:llama",
        "Run the door in front of llama-server until it is told to stop; it gives that server adapters by name.",
        "flywheel llama --config flywheel.toml",
    ),
    "executor": late(
        "executors:executor",
        "Run the executor, which runs model-written programs in boxes, until it is told to stop.",
        "flywheel executor --check",
    ),
    "gateway": late_app("keys:app", "Run the gateway, the door the agent talks to, until it is told to stop."),
    "doctor": late(
        "doctors:doctor",
        "Look whether everything is well: databases, policies, servers, disk, GPU, sandbox, clocks, rights.",
        "flywheel doctor --json",
    ),
    "status": late("statuses:status", "Say how each line stands and what it waits for.", "flywheel status --live"),
    "decisions": late(
        "decisions:decisions",
        "List what was decided and done, oldest first, with its number for `flywheel explain`.",
        "flywheel decisions --follow --kind rollout.",
    ),
    "explain": late(
        "explanations:explain",
        "Tell why something happened: the facts, the policies that judged it, the evidence.",
        "flywheel explain tool-calling@1",
    ),
    "train": late(
        "requests:train",
        "Train a line now, through the guardrails, without waiting for its trigger.",
        "flywheel train tool-calling",
    ),
    "pause": late(
        "pauses:pause",
        "Pause a line: no run, measurement, canary or promotion of it begins; what is under way goes on.",
        "flywheel pause tool-calling --reason 'a look first'",
    ),
    "resume": late("pauses:resume", "Let a paused line go on.", "flywheel resume tool-calling"),
    "gate": late(
        "gates:gate",
        "Measure an adapter against its base on a suite.",
        "flywheel gate ./my-adapter --base main --line tool-calling",
    ),
    "forget": late(
        "forgetting:forget",
        "Forget a repo, a session or an example: its words leave the store and the capture, and never come back.",
        "flywheel forget --session ses_1 --dry-run",
    ),
    "backup": late(
        "backups:backup",
        "Back the home up while everything runs: store, capture, datasets, suites, adapters, reports, settings.",
        "flywheel backup /mnt/backups/flywheel",
    ),
    "restore": late(
        "backups:restore_",
        "Put a backup back: into an empty home, or with --force in the place of what is there.",
        "flywheel restore /mnt/backups/flywheel --list",
    ),
    "verify": late(
        "verifications:verify_",
        "Hash everything again: store, ledger, datasets, suites, adapters, reports.",
        "flywheel verify --json",
    ),
    "gc": late(
        "leftovers:gc",
        "Delete what nobody needs: old checkpoints, trials, remains of crashes, adapters long over.",
        "flywheel gc --dry-run",
    ),
    "demo": late(
        "demos:demo",
        "Show the whole loop: watch, learn, prove, roll out, take back.",
        "flywheel demo --double",
    ),
    "policy": late_app("policies:app", "Check and explain what an operator has declared."),
    "env": late_app("environments:app", "Build the environments that training and serving need."),
    "bootstrap": late_app("bootstraps:app", "Make examples before there are outcomes: a cold start."),
    "sources": late_app("sources:app", "Look at the watched databases and folders."),
    "notify": late_app("notifications:app", "Try and list who is told of what happens."),
    "emit": late_app("emits:app", "Write what other programs are told, from the settings."),
    "service": late_app("installs:app", "Run flywheel as services of systemd."),
    **{noun: late_app("nouns:app_of", f"Look at {noun}.") for noun in WAYS},
}

app = typer.Typer(
    cls=late_group(COMMANDS),
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
    told = " ".join(error.format_message().split()).rstrip(".").replace(": Value error, ", ": ")
    return f"{told} — see `flywheel{command.partition('flywheel')[2]} --help`"


def _leave(message: str, status: int) -> NoReturn:
    if message:
        err.print(f"flywheel: {message}", markup=False, style="red" if err.is_terminal else "")
    sys.exit(status)
