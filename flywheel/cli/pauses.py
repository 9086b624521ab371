"""`flywheel pause LINE | resume LINE`: let a line start nothing new for a while."""

from typing import Annotated

import typer

from flywheel.cli.contexts import AsJson, Config, reading
from flywheel.cli.requests import Reason, Wait, ask_of
from flywheel.core.errors import MisuseError
from flywheel.core.requests import RequestKind
from flywheel.store.wishes import Wish

Line = Annotated[str, typer.Argument(help="A line of the settings, as in tool-calling.")]


def pause(line: Line, reason: Reason = "", wait: Wait = 10, as_json: AsJson = False, config: Config = None) -> None:
    """Pause a line: no run, measurement, canary or promotion of it begins; what is under way goes on."""
    _ask("pause", line, reason, wait, as_json, config)


def resume(line: Line, reason: Reason = "", wait: Wait = 10, as_json: AsJson = False, config: Config = None) -> None:
    """Let a paused line go on."""
    _ask("resume", line, reason, wait, as_json, config)


def _ask(kind: RequestKind, line: str, reason: str, wait: float, as_json: bool, config: Config) -> None:
    with reading(config) as (settings, _):
        if line not in settings.lines:
            raise MisuseError(
                f"{line!r} is not a line of the settings", f"lines: {', '.join(settings.lines) or 'none'}"
            )
    ask_of(Wish(kind=kind, subject=line, reason=reason), line, wait, as_json, config)
