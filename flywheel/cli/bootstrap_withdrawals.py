"""`flywheel bootstrap withdraw`: what was made teaches nobody any more."""

import re
import sys
from typing import Annotated

import typer

from flywheel.cli.contexts import AsJson, Config, out, settings_of, show_json
from flywheel.core.errors import MisuseError

_NAMES = re.compile(r"(?:mine|import|teach|lintseq)(?:/[^/]+)*")


def withdraw_made_things(
    name: Annotated[
        str, typer.Argument(help="import/DATASET, mine/OWNER/REPO, teach/TASK/LINE, or the beginning of one.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Take what a cold start made off the shelf: no dataset takes it from then on. It can be made again."""
    from flywheel.bootstrap.withdrawals import withdraw_made

    settings = settings_of(config)
    if not _NAMES.fullmatch(name):
        raise MisuseError(f"nothing is made under {name!r}", "say import/DATASET, mine/OWNER/REPO or teach/TASK/LINE")
    _confirm(name, yes)
    gone = withdraw_made(settings.home, name)
    if as_json:
        show_json({"withdrawn": gone})
    else:
        out.print(f"{gone} example{'' if gone == 1 else 's'} of {name} withdrawn", markup=False)


def _confirm(name: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise MisuseError("withdrawing changes what is learned", "add --yes")
    typer.confirm(f"Withdraw all that was made under {name}?", abort=True)
