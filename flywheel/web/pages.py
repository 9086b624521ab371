"""The frame of every page: its head, the way around, the one main part, and where it is up to."""

from aiohttp import web

from flywheel import __version__
from flywheel.web.elements import Child, Html, el, join, path_to

#: What stands in the way around: where it leads, and its word. Pages below it belong to it.
NAVIGATION: tuple[tuple[str, str], ...] = (
    ("lines", "Lines"),
    ("runs", "Runs"),
    ("reports", "Reports"),
    ("decisions", "Decisions"),
    ("examples", "Data"),
    ("policies", "Policies"),
    ("actions", "Actions"),
)
#: Pages that stand below another's word.
BELONGS = {
    "outcomes": "examples", "quarantine": "examples", "explain": "decisions", "ask": "actions", "requests": "actions",
    "journal": "reports",
}  # fmt: skip
SIGNED_IN = web.RequestKey("signed_in", bool)


def respond(request: web.Request, title: str, *parts: Child, status: int = 200, seq: int = 0) -> web.Response:
    """Answer with a page; `seq` is the ledger number up to which it is true, from where live updates go on."""
    text = document(title, *parts, here=request.path, seq=seq, signed_in=request.get(SIGNED_IN, False))
    return web.Response(text=text, content_type="text/html", status=status)


def document(title: str, *parts: Child, here: str = "", seq: int = 0, signed_in: bool = False) -> str:
    """Return a whole document. Nothing in it is inline that acts: the page's policy would not run it."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width,initial-scale=1"),
        el("title", f"{title} · flywheel"),
        el("link", rel="icon", href="/static/icon.svg"),
        el("link", rel="stylesheet", href="/static/styles.css"),
        el("script", src="/static/live.js", defer=True),
    )
    body = el(
        "body",
        el("a", "Skip to the content", href="#main", class_="skip"),
        _top(here, signed_in=signed_in),
        el("main", parts, id="main", tabindex=-1),
        _foot(),
        data_seq=seq,
    )
    return f"<!doctype html>\n{el('html', head, body, lang='en')}\n"


def _top(here: str, *, signed_in: bool) -> Html:
    entries = [el("li", _way(name, word, here)) for name, word in NAVIGATION]
    leave = el("a", "Sign out", href="/sign-out") if signed_in else None
    mark = el("a", "flywheel", href="/", class_="mark")
    return el("header", mark, el("nav", el("ul", entries), aria_label="Main"), leave, class_="top")


def _way(name: str, word: str, here: str) -> Html:
    first = here.strip("/").partition("/")[0] or "lines"
    inside = name == BELONGS.get(first, first)
    return el("a", word, href=path_to(name), aria_current="page" if inside else None)


def _foot() -> Html:
    told = el("p", el("span", "Live", id="live", hidden=True), role="status", aria_live="polite")
    return el("footer", told, join("flywheel ", __version__))
