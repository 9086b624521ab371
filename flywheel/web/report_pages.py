"""The reports: what was measured, what was found, and the page of each in a frame that can do nothing."""

from pathlib import Path

from aiohttp import web
from sqlmodel import Session

from flywheel.core.errors import MisuseError
from flywheel.core.ids import short
from flywheel.store.chronicles import adapter_names, last_seq, reports_before
from flywheel.store.reports import StoredReport, report_by_id
from flywheel.web.desks import desk_of
from flywheel.web.elements import Child, Html, el, link, moment, path_to
from flywheel.web.event_parts import line_link, name_link, number_link
from flywheel.web.filters import place
from flywheel.web.numbers import percent, points_between
from flywheel.web.pages import respond
from flywheel.web.tables import empty, facts, of_line, pager, section, table
from flywheel.web.verdict_parts import gain, lead, scores, verdict_badge

_PAGE = 40
_HEAD = ("Report", "Measured (UTC)", "Line", "Adapter", "Verdict", "Base → candidate", "Points (95 % interval)")
_CHECKS = ("Check", "Verdict", "Seen", "Needs", "In words")
_CATEGORIES = ("Category", "Problems", "Base", "Candidate", "Difference", "Estimate")
#: A report's page is whole in itself: it has its style in it, loads nothing and may do nothing.
_FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; sandbox; "
    "frame-ancestors 'self'"
)


def add_to(router: web.UrlDispatcher) -> None:
    """Answer for the reports."""
    router.add_get("/reports", show_reports)
    router.add_get("/reports/{report}", show_report)
    router.add_get("/reports/{report}/page", show_page)


async def show_reports(request: web.Request) -> web.Response:
    """List the newest reports, of all lines or of one."""
    desk, line, before = desk_of(request), request.query.get("line") or None, place(request)
    found, names, seq = await desk.read(_list, line, before)
    older = of_line(line, before=found[_PAGE - 1].seq) if len(found) > _PAGE else None
    newest = of_line(line) if before is not None else None
    rows = [row(stored, names) for stored in found[:_PAGE]]
    nothing = empty("Nothing was measured yet: an adapter is measured as soon as it was trained and a suite is there.")
    listed = table("Reports", _HEAD, rows, frozenset({5, 6})) if rows else nothing
    title = f"Reports of {line}" if line else "Reports"
    body = section("reports", "Newest first", listed, pager(("reports",), newest, older), live=before is None)
    return respond(request, title, el("h1", title), body, seq=seq)


async def show_report(request: web.Request) -> web.Response:
    """Show a report: its verdict, every check with its number, the categories, and its page."""
    desk, name = desk_of(request), request.match_info["report"]
    stored, names, seq = await desk.read(_one, name)
    there = await desk.apart(_page_of(desk.settings.home, stored).is_file)
    report = stored.report
    adapter = names.get(report.adapter, short(report.adapter))
    told = facts([
        ("Line", line_link(stored.line)), ("Adapter", name_link(adapter)), ("Measured", moment(stored.at)),
        ("Base → candidate", scores(report)), ("Points gained", gain(report)), ("Suite", name_link(report.suite)),
        ("Gate", report.gate), ("Alpha spent", f"{report.alpha_spent:.4g}"), ("In the ledger", number_link(stored.seq)),
    ])  # fmt: skip
    parts: list[Child] = [
        lead(report),
        told,
        section("checks", "Checks", _checks(stored), live=False),
        section("categories", "Categories", _categories(stored), live=False) if report.categories else None,
        section("page", "Its page", _frame(stored) if there else empty("Its page is not there any more."), live=False),
    ]
    return respond(request, f"{adapter}: {report.verdict.value}", el("h1", f"Report on {adapter}"), parts, seq=seq)


async def show_page(request: web.Request) -> web.StreamResponse:
    """Send a report's own page, locked up."""
    desk = desk_of(request)
    stored, _, _ = await desk.read(_one, request.match_info["report"])
    path = _page_of(desk.settings.home, stored)
    if not await desk.apart(path.is_file):
        raise MisuseError("the page of this report is not there any more", "its numbers are")
    locked = {"Content-Security-Policy": _FRAME_POLICY, "X-Frame-Options": "SAMEORIGIN"}
    text = await desk.apart(path.read_bytes)
    return web.Response(body=text, content_type="text/html", charset="utf-8", headers=locked)


def row(stored: StoredReport, names: dict[str, str]) -> list[Child]:
    """Return a report as a row of a table."""
    report = stored.report
    return [
        link(stored.id, "reports", stored.id), moment(stored.at), line_link(stored.line),
        name_link(names.get(report.adapter, "")) or short(report.adapter), verdict_badge(report.verdict.value),
        scores(report), gain(report),
    ]  # fmt: skip


def _list(session: Session, line: str | None, before: int | None) -> tuple[list[StoredReport], dict[str, str], int]:
    found = reports_before(session, line, before, _PAGE + 1)
    return found, adapter_names(session, [one.report.adapter for one in found]), last_seq(session)


def _one(session: Session, name: str) -> tuple[StoredReport, dict[str, str], int]:
    stored = report_by_id(session, name)
    if stored is None:
        raise MisuseError(f"there is no report {name}", "all reports stand on the page of reports")
    return stored, adapter_names(session, [stored.report.adapter]), last_seq(session)


def _page_of(home: Path, stored: StoredReport) -> Path:
    return home / "reports" / f"{stored.id}.html"


def _checks(stored: StoredReport) -> Html:
    rows: list[list[Child]] = [
        [check.name, verdict_badge(check.verdict.value), "" if check.seen is None else f"{check.seen:.4g}", check.needs,
         check.sentence]
        for check in stored.report.checks
    ]  # fmt: skip
    return table("Checks", _CHECKS, rows, frozenset({2}))


def _categories(stored: StoredReport) -> Html:
    rows: list[list[Child]] = [
        [name, f"{one.get('problems') or 0:.0f}", percent(one.get("base")), percent(one.get("candidate")),
         points_between(one.get("difference"), None, None), points_between(one.get("shrunk"), None, None)]
        for name, one in sorted(stored.report.categories.items())
    ]  # fmt: skip
    return table("Categories", _CATEGORIES, rows, frozenset({1, 2, 3, 4, 5}))


def _frame(stored: StoredReport) -> list[Html]:
    address = path_to("reports", stored.id, "page")
    frame = el("iframe", src=address, title=f"The page of {stored.id}", sandbox="", loading="lazy", class_="page")
    return [el("p", el("a", "Open it alone", href=address)), frame]
