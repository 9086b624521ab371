"""What is learned from: examples and outcomes with their evidence and origin, and what was kept out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web
from sqlmodel import Session

from flywheel.core.outcomes import Label
from flywheel.store import browsings as b
from flywheel.store.counters import counters
from flywheel.web.desks import desk_of
from flywheel.web.elements import Child, Html, badge, el, link, moment
from flywheel.web.event_parts import line_link
from flywheel.web.filters import asked, choice, narrow, place, words
from flywheel.web.pages import respond
from flywheel.web.tables import empty, facts, pager, section, table

LABELS = {"positive": "pass", "negative": "fail", "unknown": ""}
_STANDING = {"standing": False, "withdrawn": True}
_GLANCE = 140


def add_to(router: web.UrlDispatcher) -> None:
    """Answer for the lists of data."""
    router.add_get("/examples", show_examples)
    router.add_get("/outcomes", show_outcomes)
    router.add_get("/quarantine", show_quarantine)


async def show_examples(request: web.Request) -> web.Response:
    """List the examples of the pool, or those of one frozen dataset."""
    desk, wish = desk_of(request), asked(request, "line", "category", "standing", "outcome", "dataset")
    if "dataset" in wish:
        return await _show_dataset(request, wish["dataset"])
    before = place(request)
    where: dict[str, Any] = {name: wish.get(name) for name in ("line", "category", "outcome")}
    where["withdrawn"] = _STANDING.get(wish.get("standing", ""))
    page, asks, pools = await desk.read(_examples, where, before, desk.settings.lines)
    rows = [(link(row["id"][:12], "examples", row["id"]), moment(row["at"]), line_link(row["line"]), row["category"],
             _standing(row), glance(asks.get(row["seq"], ""))) for row in page.rows]  # fmt: skip
    head = ("Example", "When (UTC)", "Line", "Category", "Stands", "Asked")
    none = "No example yet. Outcomes become examples when their evidence says that they succeeded."
    return respond(
        request, "Examples", el("h1", "Examples"), ways_between("examples"), _pools(pools),
        narrow(("examples",), choice("line", "Line", _same(desk.settings.lines), wish.get("line", "")),
               words("category", "Category", wish.get("category", "")),
               choice("standing", "Stands", _same(_STANDING), wish.get("standing", "")), label="Narrow the examples"),
        listing("examples", wish, page, table("Examples, newest first", head, rows) if rows else None, none),
    )  # fmt: skip


async def show_outcomes(request: web.Request) -> web.Response:
    """List what the agent did and how it ended."""
    desk, before = desk_of(request), place(request)
    names = ("line", "label", "source", "task", "session", "repo", "call_type")
    wish = asked(request, *names)
    sources = tuple(source.name for source in desk.settings.sources)
    page, asks = await desk.read(_outcomes, dict(wish), before, sources)
    rows = [(link(row["key"][:12], "outcomes", row["key"]), moment(row["at"]), row["source"], line_link(row["line"]),
             label_badge(row["label"], row["confidence"]), row["call_type"],
             glance(asks.get(row["seq"], ""))) for row in page.rows]  # fmt: skip
    head = ("Outcome", "When (UTC)", "Source", "Line", "Label", "Call", "Asked")
    none = "No outcome yet. They come as soon as the agent has done something in a database that is watched."
    fields = (
        choice("line", "Line", _same(desk.settings.lines), wish.get("line", "")),
        choice("label", "Label", _same(Label), wish.get("label", "")),
        choice("source", "Source", _same(sources), wish.get("source", "")),
        *(words(name, name.replace("_", " ").capitalize(), wish.get(name, "")) for name in names[3:]),
    )
    return respond(
        request, "Outcomes", el("h1", "Outcomes"), ways_between("outcomes"),
        narrow(("outcomes",), *fields, label="Narrow the outcomes"),
        listing("outcomes", wish, page, table("Outcomes, newest first", head, rows) if rows else None, none),
    )  # fmt: skip


async def show_quarantine(request: web.Request) -> web.Response:
    """List what was not taken: where it stands and which rule kept it out, never what it holds."""
    desk, wish, before = desk_of(request), asked(request, "source", "rule"), place(request)
    page = await desk.read(lambda session: b.page_of_quarantine(session, dict(wish), before=before))
    rows = [(row["row"], row["source"], moment(row["at"]), row["rule"], row["reason"]) for row in page.rows]
    head = ("Row", "Source", "When (UTC)", "Rule", "Why")
    none = "Nothing is in quarantine: every row could be read, and none held a secret."
    sources = [source.name for source in desk.settings.sources]
    return respond(
        request, "Quarantine", el("h1", "Quarantine"), ways_between("quarantine"),
        el("p", "Rows that could not be read, or held a secret. What they hold is not kept.", class_="soft"),
        narrow(("quarantine",), choice("source", "Source", _same(sources), wish.get("source", "")),
               words("rule", "Rule", wish.get("rule", "")), label="Narrow the quarantine"),
        listing("quarantine", wish, page, table("Quarantined rows, newest first", head, rows) if rows else None, none),
    )  # fmt: skip


def ways_between(here: str) -> Html:
    """Return the ways between the lists of data."""
    entries = [el("li", el("a", name.capitalize(), href=f"/{name}", aria_current="page" if name == here else None))
               for name in ("examples", "outcomes", "quarantine")]  # fmt: skip
    return el("nav", el("ul", entries, class_="tabs"), aria_label="Data")


def listing(noun: str, wish: Mapping[str, str], page: b.Page, shown: Html | None, none: str) -> Html:
    """Return a page of rows with the way on; where only a part of them was looked through, that is said."""
    body: Child = shown or empty("Nothing here matches." if wish or page.looked else none)
    older: dict[str, str | int] | None = {**wish, "before": page.older} if page.older else None
    ways = pager((noun,), newer=None, older=older)
    return section(noun, f"The {noun}", _looked(page.looked), body, ways, live=False)


def _looked(rows: int | None) -> Html | None:
    if rows is None:
        return None
    return el("p", f"{rows:,} rows were looked through; older ones may match as well.", class_="soft")


def label_badge(label: str, confidence: float) -> Html:
    """Return a label with how sure it is."""
    return badge(f"{label} {confidence:.2f}" if label != "unknown" else label, LABELS.get(label, ""))


def glance(text: str) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text[: _GLANCE * 4].split())
    return line if len(line) <= _GLANCE else line[: _GLANCE - 1] + "…"


async def _show_dataset(request: web.Request, dataset: str) -> web.Response:
    desk, after = desk_of(request), request.query.get("after", "")
    page, asks = await desk.read(_dataset, dataset, after)
    rows = [(link(row["id"][:12], "examples", row["id"]), row["part"], row.get("category"), _standing(row),
             glance(asks.get(row.get("seq", 0), ""))) for row in page.rows]  # fmt: skip
    head = ("Example", "Part", "Category", "Stands now", "Asked")
    shown = table("Examples of the dataset", head, rows) if rows else empty("No frozen dataset of this hash is known.")
    older: dict[str, str | int] | None = {"dataset": dataset, "after": page.older} if page.older else None
    newer: dict[str, str | int] | None = {"dataset": dataset} if after else None
    return respond(
        request, "A dataset's examples", el("h1", f"Dataset {dataset[:12]}"), ways_between("examples"),
        el("p", link("Why it was frozen", "explain", dataset)),
        section("dataset", "What it holds", shown, pager(("examples",), newer=newer, older=older), live=False),
    )  # fmt: skip


def _examples(
    session: Session, where: dict[str, Any], before: int | None, lines: Sequence[str]
) -> tuple[b.Page, dict[int, str], dict[str, dict[str, int]]]:
    page = b.page_of_examples(session, where, before=before)
    chosen = [where["line"]] if where.get("line") else lines
    pools = {line: counters(session, f"line:{line}") for line in chosen}
    return page, b.words_of_examples(session, [row["seq"] for row in page.rows]), pools


def _outcomes(
    session: Session, where: dict[str, Any], before: int | None, sources: Sequence[str]
) -> tuple[b.Page, dict[int, str]]:
    page = b.page_of_outcomes(session, where, before=before, sources=sources)
    return page, b.words_of_outcomes(session, [row["seq"] for row in page.rows])


def _dataset(session: Session, dataset: str, after: str) -> tuple[b.Page, dict[int, str]]:
    page = b.page_of_dataset(session, dataset, after=after)
    return page, b.words_of_examples(session, [row["seq"] for row in page.rows if "seq" in row])


def _pools(pools: Mapping[str, Mapping[str, int]]) -> Child:
    """Return what each line has, in numbers that are kept up and never counted."""
    told = [(line, _pool(held)) for line, held in pools.items() if held]
    return facts(told) if told else None


def _pool(held: Mapping[str, int]) -> str:
    fresh = f", {held['examples_fresh']:,} fresh" if held.get("examples_fresh") else ""
    good, bad = held.get("outcomes_positive", 0), held.get("outcomes_negative", 0)
    return f"{held.get('examples', 0):,} examples{fresh}; outcomes: {good:,} positive, {bad:,} negative"


def _standing(row: Mapping[str, Any]) -> Child:
    if "withdrawn" not in row:
        return badge("forgotten", "fail")
    return badge("withdrawn", "fail") if row["withdrawn"] else badge("stands", "pass")


def _same(names: Iterable[str]) -> list[tuple[str, str]]:
    return [(str(name), str(name)) for name in names]
