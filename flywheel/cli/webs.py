"""`flywheel web`: the dashboard, where the daemon does not serve it itself."""

import os
from typing import Annotated

import typer

from flywheel.cli.contexts import AsJson, Config, out, settings_of, show_json
from flywheel.daemon.settings import Settings
from flywheel.daemon.web_children import web_command


def web(
    where: Annotated[bool, typer.Option("--where", help="Say its address and its token's place, and leave.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Run the dashboard until it is told to stop; `flywheel run` does so itself unless `web.enabled` is false."""
    settings = settings_of(config)
    if where or as_json:
        _tell(settings, as_json=as_json)
        return
    command = web_command(config)
    os.execv(command[0], command)  # noqa: S606 - the same process goes on as the dashboard: systemd keeps its hold


def web_address(settings: Settings) -> str:
    """Return where the dashboard is."""
    host = settings.web.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.web.port}/"


def _tell(settings: Settings, *, as_json: bool) -> None:
    token = settings.web.token_file or settings.home / "web.token"
    if as_json:
        show_json({"url": web_address(settings), "token_file": str(token), "by_daemon": settings.web.enabled})
        return
    out.print(web_address(settings), markup=False)
    out.print(f"token, to act from there: {token}", markup=False)
