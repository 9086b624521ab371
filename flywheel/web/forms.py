"""Forms that ask for something. Each carries the proof that it is ours, so that no other site can send one."""

from aiohttp import web

from flywheel.web.desks import desk_of
from flywheel.web.elements import Child, Html, el
from flywheel.web.guards import FORM
from flywheel.web.pages import SIGNED_IN


def post_form(request: web.Request, action: str, *children: Child, label: str | None = None) -> Html:
    """Return a form that is sent to one of our addresses; the door checks whoever sends it."""
    proof = desk_of(request).keeper.form if request[SIGNED_IN] else ""
    hidden = el("input", type="hidden", name=FORM, value=proof)
    return el("form", hidden, children, method="post", action=action, aria_label=label)
