"""What a person reads when a page cannot be shown: what is wrong, and what to do."""

import secrets

import structlog
from aiohttp import web

from flywheel.core.errors import FlywheelError, MisuseError, SettingsError, TemporaryError
from flywheel.web.elements import Child, el, link
from flywheel.web.filters import find_form
from flywheel.web.guards import Handler
from flywheel.web.pages import respond

log = structlog.get_logger(__name__)

_TITLES = {
    403: ("Not allowed", ""),
    404: ("Not found", "There is no such page, or what it showed is gone."),
    405: ("Not that way", "This address does not take that method."),
    413: ("Too much", "What was sent is larger than any form of the dashboard."),
}
_BAD_REQUEST, _NOT_FOUND, _FAULT, _AWAY = 400, 404, 500, 503


@web.middleware
async def tell_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into a page; this is the supervised edge, so nothing a page does ends the process."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < _BAD_REQUEST or request.path.startswith("/static/"):
            raise
        title, words = _TITLES.get(error.status, (error.reason, ""))
        told = error.text if error.text and not error.text.startswith(str(error.status)) else words
        return error_page(request, error.status, title, told or words)
    except FlywheelError as error:
        return error_page(request, status_of(error, request), error.message, error.mend)
    except Exception:
        fault = secrets.token_hex(4)
        log.exception("web.page_failed", path=request.path, fault=fault)
        words = f"The log of the dashboard says why, beside fault={fault}. The daemon goes on."
        return error_page(request, _FAULT, "This page failed", words)


def status_of(error: FlywheelError, request: web.Request) -> int:
    """Return what an error means to whoever asked: nothing there, asked wrongly, away for now, or our own fault."""
    if isinstance(error, TemporaryError):
        return _AWAY
    if isinstance(error, SettingsError) or not isinstance(error, MisuseError):
        return _FAULT
    return _NOT_FOUND if request.method in {"GET", "HEAD"} else _BAD_REQUEST


def error_page(request: web.Request, status: int, title: str, words: str) -> web.Response:
    """Return the page that says what is wrong, and where to go on."""
    more: Child = el("p", words, class_="lead") if words else None
    search: Child = find_form() if status == _NOT_FOUND else None
    ways = el("p", link("How things stand", "lines"), " · ", link("What was decided", "decisions"))
    return respond(request, title, el("h1", title), more, search, ways, status=status)
