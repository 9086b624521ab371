"""Tables that stay readable on a phone, lists of facts, and the words of an empty page."""

from collections.abc import Iterable, Sequence

from flywheel.web.elements import NOTHING, Child, Html, el, link, path_to


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[Child]], numbers: frozenset[int] = frozenset()
) -> Html:
    """Return a table whose first cell names the row; on a narrow screen every cell says its column's name."""
    top = el("tr", [el("th", name, scope="col", class_=_kind(place, numbers)) for place, name in enumerate(head)])
    body = [_row(row, head, numbers) for row in rows]
    whole = el("table", el("caption", caption, class_="unseen"), el("thead", top), el("tbody", body), class_="stack")
    return el("div", whole, class_="wide", role="group", aria_label=caption, tabindex=0)


def _row(row: Sequence[Child], head: Sequence[str], numbers: frozenset[int]) -> Html:
    first, *rest = row
    cells = [
        el("td", _or_nothing(cell), data_of=head[place], class_=_kind(place, numbers))
        for place, cell in enumerate(rest, 1)
    ]
    return el("tr", el("th", _or_nothing(first), scope="row"), cells)


def _or_nothing(cell: Child) -> Child:
    return NOTHING if cell is None or cell == "" else cell


def _kind(place: int, numbers: frozenset[int]) -> str | None:
    return "n" if place in numbers else None


def facts(pairs: Iterable[tuple[str, Child]]) -> Html:
    """Return what is known of one thing, name by name; what is None is left out."""
    return el("dl", [el("div", el("dt", name), el("dd", value)) for name, value in pairs if value is not None])


def empty(words: str) -> Html:
    """Return what stands where nothing is yet: one sentence that says what would bring it."""
    return el("p", words, class_="empty")


def section(name: str, title: Child, *parts: Child, live: bool = True) -> Html:
    """Return a part of a page under its heading; a live one is renewed in place when something happens."""
    return el(
        "section", el("h2", title, id=f"{name}-title"), parts, id=name, aria_labelledby=f"{name}-title", data_live=live
    )


def of_line(line: str | None, **more: str | int) -> dict[str, str | int]:
    """Return what an address asks for that is about a line, or about all."""
    return {**more, "line": line} if line else dict(more)


def pager(
    segments: Sequence[str | int], newer: dict[str, str | int] | None, older: dict[str, str | int] | None
) -> Html | None:
    """Return the links to the next page and back, by key, never by count; None where all is on this page."""
    if newer is None and older is None:
        return None
    ways = [
        el("a", "← newer", href=path_to(*segments, **newer), rel="prev") if newer is not None else None,
        el("a", "older →", href=path_to(*segments, **older), rel="next") if older is not None else None,
    ]
    return el("nav", ways, aria_label="Pages", class_="pager")


__all__ = ["empty", "facts", "link", "pager", "section", "table"]
