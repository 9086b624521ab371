"""The dashboard put together: its parts, its door, its pages."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from flywheel.core.clocks import Clock, SystemClock
from flywheel.core.errors import SettingsError
from flywheel.daemon.places import policies_folder
from flywheel.daemon.settings import Settings
from flywheel.web.desks import DESK, Desk
from flywheel.web.error_pages import tell_errors
from flywheel.web.guards import dress, guard, is_loopback
from flywheel.web.lives import stop_watching, tower_up
from flywheel.web.routing import add_routes
from flywheel.web.tokens import Keeper, own_token, read_token

_LARGEST_FORM = 64 * 1024


def build_app(settings: Settings, *, clock: Clock | None = None) -> web.Application:
    """Return the dashboard's application. Refuses to be reachable from elsewhere without a token of the operator's."""
    app = web.Application(client_max_size=_LARGEST_FORM, middlewares=[tell_errors, guard])
    app[DESK] = Desk(settings, clock or SystemClock(), Keeper(_token(settings)))
    app.cleanup_ctx.append(_desk_open)
    app.cleanup_ctx.append(tower_up)
    app.on_shutdown.append(stop_watching)
    app.on_response_prepare.append(dress)
    add_routes(app.router)
    return app


async def _desk_open(app: web.Application) -> AsyncIterator[None]:
    desk = app[DESK]
    # Read before the first page asks: it takes longer than any page may.
    warm = asyncio.create_task(desk.apart(desk.policies.read, policies_folder(desk.settings)))
    yield
    await asyncio.gather(warm, return_exceptions=True)
    await app[DESK].close()


def _token(settings: Settings) -> str:
    section = settings.web
    if section.token_file is not None:
        return read_token(section.token_file)
    if not is_loopback(section.host):
        raise SettingsError(
            f"web.host {section.host} can be reached from elsewhere, and there is no token",
            "write one to a file and name it as web.token_file, or listen on 127.0.0.1",
        )
    return own_token(settings.home)
