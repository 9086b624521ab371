"""`flywheel datasets freeze`: a request to the daemon for a dataset now, without waiting for the line's trigger."""

from typing import Annotated

import typer

from flywheel.cli.contexts import AsJson, Config, err, reading
from flywheel.cli.requests import Reason, Wait, ask_of
from flywheel.core.errors import MisuseError
from flywheel.daemon.locks import daemon_runs
from flywheel.store.wishes import Wish


def add_to(app: typer.Typer) -> None:
    """Add the command to the `datasets` noun."""
    app.command("freeze", epilog="Example: flywheel datasets freeze build-python")(freeze)


def freeze(
    line: Annotated[str, typer.Argument(help="A line of the settings, as in build-python.")],
    reason: Reason = "",
    wait: Wait = 30,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Freeze a dataset of a line now, of whatever there is; whether it may be trained the guardrails say."""
    with reading(config) as (settings, _):
        if line not in settings.lines:
            known = ", ".join(settings.lines) or "none"
            raise MisuseError(f"{line!r} is not a line of the settings", f"lines: {known}")
        runs = daemon_runs(settings.home)
    if not runs:
        err.print("# the daemon is not running: it is asked, and answers when `flywheel run` was started", markup=False)
    ask_of(Wish(kind="freeze", subject=line, reason=reason), line, wait if runs else 0, as_json, config)
