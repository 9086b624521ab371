"""Signing in with the token, and out again."""

import asyncio

from aiohttp import web

from flywheel.web.desks import desk_of
from flywheel.web.elements import Child, el
from flywheel.web.forms import post_form
from flywheel.web.guards import SESSION
from flywheel.web.pages import respond
from flywheel.web.tokens import SESSION_HOURS, TOKEN_FILE

_WRONG_SECONDS = 0.5


def add_to(router: web.UrlDispatcher) -> None:
    """Answer for signing in and out."""
    router.add_get("/sign-in", show_sign_in)
    router.add_post("/sign-in", sign_in)
    router.add_get("/sign-out", show_sign_out)
    router.add_post("/sign-out", sign_out)


async def show_sign_in(request: web.Request) -> web.Response:
    """Ask for the token."""
    return _asked(request, request.query.get("next", "/"))


async def sign_in(request: web.Request) -> web.Response:
    """Give a browser that shows the token its session; a wrong one waits a moment and is asked again."""
    form, desk = await request.post(), desk_of(request)
    after = str(form.get("next", "/"))
    if not desk.keeper.knows(str(form.get("token", ""))):
        await asyncio.sleep(_WRONG_SECONDS)
        return _asked(request, after, "That is not the token.", 403)
    response = web.Response(status=303, headers={"Location": after if _is_ours(after) else "/"})
    response.set_cookie(
        SESSION, desk.keeper.session(desk.clock.now()), max_age=SESSION_HOURS * 3600, httponly=True,
        samesite="Strict", secure=request.secure,
    )  # fmt: skip
    return response


async def show_sign_out(request: web.Request) -> web.Response:
    """Ask whether to sign out: a link alone must not do it."""
    return respond(request, "Sign out", el("h1", "Sign out"), post_form(request, "/sign-out", el("button", "Sign out")))


async def sign_out(_request: web.Request) -> web.Response:
    """End this browser's session."""
    response = web.Response(status=303, headers={"Location": "/"})
    response.del_cookie(SESSION)
    return response


def _asked(request: web.Request, after: str, wrong: str = "", status: int = 200) -> web.Response:
    section = desk_of(request).settings.web
    place = section.token_file or desk_of(request).settings.home / TOKEN_FILE
    told = el("p", "The token is in ", el("code", str(place)), " on the machine that flywheel runs on.")
    again: Child = el("p", wrong, class_="fail", role="alert") if wrong else None
    field = el("input", id="token", name="token", type="password", autocomplete="current-password", required=True)
    fields = [el("label", "Token", for_="token"), field, el("input", type="hidden", name="next", value=after)]
    form = el("form", fields, el("button", "Sign in"), method="post", action="/sign-in")
    return respond(request, "Sign in", el("h1", "Sign in"), told, again, form, status=status)


def _is_ours(address: str) -> bool:
    return address.startswith("/") and address[1:2] not in {"/", "\\"} and address.isprintable()
