"""The journal of a line: all its evaluations, with the picture of their scores over time."""

from aiohttp import web
from sqlmodel import Session

from flywheel.core.errors import MisuseError
from flywheel.core.ids import short
from flywheel.core.verdicts import Verdict
from flywheel.gate.page_plots import Moment, time_chart
from flywheel.store.chronicles import adapter_names, last_seq, reports_before
from flywheel.store.reports import StoredReport
from flywheel.web.desks import desk_of
from flywheel.web.elements import Child, Html, el, link
from flywheel.web.pages import respond
from flywheel.web.report_pages import row
from flywheel.web.tables import empty, section, table
from flywheel.web.verdict_parts import reason

_MOST = 400  # the newest that are drawn and listed; older ones stand on the page of reports
_HEAD = ("Report", "Measured (UTC)", "Adapter", "Verdict", "Base → candidate", "Points (95 % interval)", "Why")
_LINE = 2  # where a report's row on other pages says the line, which is the same for all here
_LEGEND = (
    "Each mark is an adapter's share of right answers: a disc passed, a cross failed, a ring had too little evidence. "
    "The grey line is the base on the same problems; a dashed line is where the suite changed."
)


def add_to(router: web.UrlDispatcher) -> None:
    """Answer for the journals."""
    router.add_get("/journal/{line}", show_journal)


async def show_journal(request: web.Request) -> web.Response:
    """Show every evaluation of a line."""
    desk, line = desk_of(request), request.match_info["line"]
    found, names, seq = await desk.read(_gather, line)
    if not found and line not in desk.settings.lines:
        raise MisuseError(f"there is no line {line}", "the lines that are on stand on the first page")
    counts = [(verdict, sum(one.report.verdict is verdict for one in found)) for verdict in Verdict]
    told = ", ".join(f"{count} {verdict.value}" for verdict, count in counts if count)
    rows: list[list[Child]] = [_row(one, names) for one in found]
    body: list[Child] = [empty("Nothing was measured on this line yet.")]
    if rows:
        body = [el("p", f"{told}."), _chart(line, found, names), table("Evaluations", _HEAD, rows, frozenset({4, 5}))]
    more = el("p", link(f"The story of {line}", "lines", line))
    return respond(
        request,
        f"Journal of {line}",
        el("h1", f"Journal of {line}"),
        more,
        section("journal", "Evaluations", body),
        seq=seq,
    )


def _row(one: StoredReport, names: dict[str, str]) -> list[Child]:
    cells = row(one, names)
    return [*cells[:_LINE], *cells[_LINE + 1 :], el("div", reason(one.report), class_="why")]


def _gather(session: Session, line: str) -> tuple[list[StoredReport], dict[str, str], int]:
    found = reports_before(session, line, None, _MOST)
    return found, adapter_names(session, [one.report.adapter for one in found]), last_seq(session)


def _chart(line: str, found: list[StoredReport], names: dict[str, str]) -> Html | None:
    measured = [one for one in reversed(found) if one.report.numbers.get("candidate.score") is not None]
    if not measured:
        return None
    moments = [_moment(one, names) for one in measured]
    # The gate draws this picture for its own pages, with texts shown by the same rule as here.
    return el("figure", Html(time_chart(f"Scores of {line} over time", moments)), el("figcaption", _LEGEND))


def _moment(one: StoredReport, names: dict[str, str]) -> Moment:
    seen = one.report.numbers
    name = names.get(one.report.adapter, short(one.report.adapter))
    base, candidate = seen.get("base.score") or 0.0, seen.get("candidate.score") or 0.0
    return Moment(name, one.at, one.report.verdict, base, candidate, one.report.suite)
