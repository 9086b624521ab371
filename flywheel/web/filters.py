"""Forms that narrow a list: they only read, so they are sent by GET and the address says what is shown."""

from collections.abc import Iterable, Sequence

from aiohttp import web

from flywheel.core.errors import MisuseError
from flywheel.web.elements import Child, Html, el, path_to

_DIGITS = 18


def choice(name: str, label: str, options: Iterable[tuple[str, str]], chosen: str) -> Html:
    """Return a labelled choice; the first option is any."""
    listed = [el("option", word, value=value, selected=value == chosen) for value, word in (("", "any"), *options)]
    return el("label", el("span", label), el("select", listed, name=name), class_="field")


def words(name: str, label: str, chosen: str, hint: str | None = None) -> Html:
    """Return a labelled field for a few words."""
    field = el("input", name=name, value=chosen, size=18, placeholder=hint, autocomplete="off", spellcheck="false")
    return el("label", el("span", label), field, class_="field")


def narrow(segments: Sequence[str], *fields: Child, label: str) -> Html:
    """Return the form around the fields, with the way back to everything."""
    button = el("button", "Show")
    clear = el("a", "Show all", href=path_to(*segments))
    return el("form", fields, button, clear, method="get", action=path_to(*segments), role="search", aria_label=label)


def find_form(label: str = "Look up a number, a name, an id or a hash") -> Html:
    """Return the field that leads to the story of anything."""
    field = el("input", name="name", size=24, autocomplete="off", spellcheck="false")
    named = el("label", el("span", label), field, class_="field")
    return el("form", named, el("button", "Explain"), method="get", action="/find", aria_label="Explain anything")


def asked(request: web.Request, *names: str) -> dict[str, str]:
    """Return what the address wishes of these names; what is empty is not wished."""
    return {name: value.strip() for name in names if (value := request.query.get(name, "")).strip()}


def place(request: web.Request, name: str = "before") -> int | None:
    """Return where a page begins, by the key of the row before it; None for the newest."""
    value = request.query.get(name, "")
    if not value:
        return None
    if not value.isdecimal() or len(value) > _DIGITS:
        raise MisuseError(f"{value!r} is no place in the list", "begin again at the newest")
    return int(value)
