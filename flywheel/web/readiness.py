"""`/healthz` and `/readyz`: whether this process lives, and whether everything behind it works.

The first asks nothing of anybody, so that a store that is away never gets a healthy process restarted. The second is
for whoever sends people or traffic here, and says in words what is wrong.
"""

from datetime import datetime
from http import HTTPStatus

from aiohttp import web
from sqlmodel import Session

from flywheel import __version__
from flywheel.core.errors import FlywheelError
from flywheel.daemon.heartbeats import SILENT_SECONDS, last_beat
from flywheel.daemon.locks import daemon_runs
from flywheel.daemon.settings import Settings
from flywheel.store.ledger import last_event
from flywheel.web.desks import desk_of

GOOD = "ok"

_CYCLES = ("daemon.cycles_failed", "daemon.cycles_recovered", "daemon.started")


def add_to(router: web.UrlDispatcher) -> None:
    """Answer at the usual paths."""
    router.add_get("/healthz", show_health)
    router.add_get("/readyz", show_readiness)


async def show_health(request: web.Request) -> web.Response:  # noqa: ARG001 - it is alive, whoever asks
    """Say that this process is alive."""
    return web.json_response({"status": "ok", "version": __version__})


async def show_readiness(request: web.Request) -> web.Response:
    """Say whether store and daemon are there; 503, with the reason, where one is not."""
    desk = desk_of(request)
    checks = {
        "store": GOOD,
        "daemon": await desk.apart(daemon_word, desk.settings, desk.clock.now()),
    }
    try:
        trouble = await desk.read(_trouble)
    except FlywheelError as error:
        checks["store"] = str(error)
    else:
        checks["daemon"] = trouble if trouble and checks["daemon"] == GOOD else checks["daemon"]
    ready = all(word == GOOD for word in checks.values())
    return web.json_response(
        {"status": "ready" if ready else "not ready", "checks": checks},
        status=HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE,
    )


def daemon_word(settings: Settings, now: datetime) -> str:
    """Return `ok`, or in one sentence why the daemon does not work: it is not there, or its loop hangs."""
    if not daemon_runs(settings.home):
        return "no daemon holds the home: start it with `flywheel run`"
    beat = last_beat(settings.home)
    silent = (now - beat).total_seconds() if beat is not None else 0.0
    if silent > SILENT_SECONDS:
        return f"the daemon has given no sign of life for {silent:.0f} seconds"
    return GOOD


def _trouble(session: Session) -> str:
    """Return why cycle after cycle fails; nothing where they do not, or the daemon was started anew."""
    last = last_event(session, kinds=_CYCLES)
    if last is None or last.kind != _CYCLES[0]:
        return ""
    return f"its cycles keep failing: {last.body.get('reason', '')}"
