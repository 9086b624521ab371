"""What pages are made of. Whatever is not built here is text, and text is only ever shown: nobody escapes by hand."""

from collections.abc import Iterable
from datetime import datetime
from urllib.parse import quote, urlencode

from flywheel.gate.page_parts import shown


class Html(str):
    """Markup that was built by this module's functions."""

    __slots__ = ()


type_ = str | int | float | bool | None
Child = type_ | Iterable["Child"]
Attribute = str | int | float | bool | None

_VOID = frozenset({"br", "hr", "input", "link", "meta", "img"})
_ADDRESSES = frozenset({"href", "src", "action"})
NOTHING = "–"  # noqa: RUF001 - a dash is what a table shows for nothing


def el(tag: str, /, *children: Child, **attributes: Attribute) -> Html:
    """Return an element; `class_` is written class, `aria_label` aria-label; None and False are left out."""
    opened = f"<{tag}{''.join(_attribute(name, value) for name, value in attributes.items())}>"
    return Html(opened) if tag in _VOID else Html(f"{opened}{join(*children)}</{tag}>")


def join(*children: Child) -> Html:
    """Return children one after the other: markup as it is, anything else as text, nothing for None."""
    return Html("".join(map(_child, children)))


def path_to(*segments: str | int, **query: str | int | None) -> str:
    """Return the address of a page: `path_to("lines", "plan")` is /lines/plan; None is left out of the query."""
    asked = {name: value for name, value in query.items() if value is not None and value != ""}
    path = "/" + "/".join(quote(str(segment), safe="@:") for segment in segments)
    return f"{path}?{urlencode(asked)}" if asked else path


def link(text: Child, *segments: str | int, **query: str | int | None) -> Html:
    """Return a link to a page of ours."""
    return el("a", text, href=path_to(*segments, **query))


def moment(at: datetime | None) -> Html:
    """Return a moment as people read it and programs may."""
    if at is None:
        return join(NOTHING)
    return el(
        "time", f"{at:%Y-%m-%d %H:%M}", datetime=at.isoformat(timespec="seconds"), title=f"{at:%Y-%m-%d %H:%M:%S} UTC"
    )


def prose(text: str) -> Html:
    """Return a sentence in which what stands between backquotes is shown as something to type."""
    return join(*[el("code", part) if place % 2 else part for place, part in enumerate(text.split("`"))])


def badge(word: str, kind: str = "") -> Html:
    """Return a state in a word; `kind` is pass, fail, open or nothing."""
    return el("span", word, class_=f"badge {kind}".strip())


def _child(child: Child) -> str:
    if child is None or child is False:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int | float):
        return shown(str(child))
    return "".join(map(_child, child))


def _attribute(name: str, value: Attribute) -> str:
    key = name.rstrip("_").replace("_", "-")
    if key.startswith("on") or key == "style":
        raise ValueError(f"the pages' policy forbids the attribute {key}")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {key}"
    text = str(value)
    if key in _ADDRESSES and not _is_ours(text):
        raise ValueError(f"{text!r} leads away from the dashboard")
    return f' {key}="{shown(text)}"'


def _is_ours(address: str) -> bool:
    return address.startswith(("#", "?")) or (address.startswith("/") and address[1:2] not in {"/", "\\"})
