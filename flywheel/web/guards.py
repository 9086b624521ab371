"""The dashboard's door: who may read, who may act, and what a browser is told not to do with a page."""

import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from flywheel.web.desks import DESK
from flywheel.web.elements import path_to
from flywheel.web.pages import SIGNED_IN

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SESSION = "flywheel_web"
FORM = "form"  # the field that proves that a form is ours
#: Reading these asks for no token: they hold nothing.
OPEN = ("/static/", "/sign-in", "/healthz", "/readyz")
_SAFE = frozenset({"GET", "HEAD"})

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer browsers send `Origin: null`, which the door refuses
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can knock at an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def dress(_request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that keep a page from doing anything but being seen; a page may have set stricter ones."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let through who may: a known host name, a reader, and to act somebody who is signed in, by a form of ours."""
    if not _is_our_name(request):
        raise web.HTTPMisdirectedRequest(text=f"{request.host} is not a name of this dashboard: see web.hosts")
    request[SIGNED_IN] = signed_in(request)
    if request.path.startswith(OPEN):
        _check_origin(request)
        return await handler(request)
    acts = request.method not in _SAFE
    if acts:
        _check_origin(request)
    if not request[SIGNED_IN] and (acts or _asks_readers(request)):
        if request.path == "/metrics":  # a scraper shows no form: it is told what is missing
            return web.Response(status=401, text="the token is missing", headers={"WWW-Authenticate": "Bearer"})
        raise web.HTTPSeeOther(path_to("sign-in", next=None if acts else request.path_qs))
    if acts and not _has_bearer(request):
        await _check_form(request)
    return await handler(request)


def signed_in(request: web.Request) -> bool:
    """Tell whether whoever asks has shown the token."""
    desk = request.app[DESK]
    return _has_bearer(request) or desk.keeper.is_session(request.cookies.get(SESSION, ""), desk.clock.now())


def _has_bearer(request: web.Request) -> bool:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return kind.lower() == "bearer" and request.app[DESK].keeper.knows(token)


def _asks_readers(request: web.Request) -> bool:
    section = request.app[DESK].settings.web
    return section.sign_in or not is_loopback(section.host)


def _is_our_name(request: web.Request) -> bool:
    """Tell whether a request came by a name of ours: a page elsewhere can point its own name at our address."""
    name = (urlsplit(f"//{request.host}").hostname or "").rstrip(".")
    if name == "localhost" or name in request.app[DESK].settings.web.hosts:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _check_origin(request: web.Request) -> None:
    """Refuse what another site's page sends, also one on another port of this machine."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    strange = site not in {None, "same-origin", "none"}
    if request.method not in _SAFE and (strange or (origin is not None and urlsplit(origin).netloc != request.host)):
        raise web.HTTPForbidden(text="another site sent this")


async def _check_form(request: web.Request) -> None:
    form = await request.post()
    if not request.app[DESK].keeper.is_form(str(form.get(FORM, ""))):
        raise web.HTTPForbidden(text="this form is not one of ours, or older than the token: open the page again")
