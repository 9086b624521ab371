"""The journal of a line: one page over all its evaluations, oldest verdict to newest, with a chart over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from flywheel.core.ids import short
from flywheel.core.verdicts import Report, Verdict
from flywheel.gate.page_parts import between, page, percent, points, section, shown
from flywheel.gate.page_plots import Moment, time_chart
from flywheel.gate.pages import CLASS, SIGN

_DRAWN = 400  # the newest that the chart shows; the table lists all
_HEAD = (
    "measured", "adapter", "verdict", "base → candidate", "points", "95 % interval", "in format", "problems", "suite",
    "alpha",
)  # fmt: skip
_WORDS = frozenset({0, 1, 2, 8})


@dataclass(frozen=True)
class Entry:
    """One evaluation: which adapter, when, its report, and the file name of the report's page where there is one."""

    adapter: str
    at: datetime
    report: Report
    file: str = ""


def render_journal(line: str, entries: Sequence[Entry]) -> str:
    """Return the journal's page; entries come oldest first and are listed newest first."""
    if not entries:
        return page(f"{line}: journal", [_top(line, entries), "<p>Nothing was measured yet.</p>"])
    measured = [one for one in entries if one.report.numbers.get("candidate.score") is not None][-_DRAWN:]
    chart = time_chart(f"Scores of {line} over time", [_moment(one) for one in measured])
    told = (
        "Each mark is an adapter's share of right answers: a disc passed, a cross failed, a ring had too little "
        "evidence. The grey line is the base on the same problems; a dashed line is where the suite changed."
    )
    figure = f"<figure>{chart}<figcaption>{told}</figcaption></figure>" if measured else ""
    parts = [
        section("time", "Over time", figure) if figure else "",
        section("all", "All evaluations", _listed(entries)),
    ]
    return page(f"{line}: journal", [_top(line, entries), *parts])


def _top(line: str, entries: Sequence[Entry]) -> str:
    counts = [(verdict, sum(one.report.verdict is verdict for one in entries)) for verdict in Verdict]
    told = ", ".join(f"{count} {verdict.value}" for verdict, count in counts if count)
    suites = len({one.report.suite for one in entries})
    plural = "s" if suites != 1 else ""
    lead = f"{len(entries)} evaluations on {suites} suite{plural}: {told}." if entries else ""
    return f"<header><h1>{shown(line)}: every evaluation</h1><p>{shown(lead)}</p></header>"


def _moment(one: Entry) -> Moment:
    seen = one.report.numbers
    base, candidate = seen.get("base.score") or 0.0, seen.get("candidate.score") or 0.0
    return Moment(one.adapter, one.at, one.report.verdict, base, candidate, one.report.suite)


def _listed(entries: Sequence[Entry]) -> str:
    head = "".join(f'<th scope="col"{_kind(n)}>{cell}</th>' for n, cell in enumerate(_HEAD))
    body = "".join(_rows(one) for one in reversed(entries))
    return (
        '<div class="wide" role="region" aria-label="All evaluations" tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>"
    )


def _rows(one: Entry) -> str:
    """Return the numbers of an evaluation and, below them, its sentence."""
    report, seen = one.report, one.report.numbers
    name = shown(one.adapter)
    linked = f'<a href="{quote(one.file)}">{name}</a>' if one.file else name
    cells = [
        f"{one.at:%Y-%m-%d&nbsp;%H:%M}", linked,
        f'<span class="{CLASS[report.verdict]}">{SIGN[report.verdict]} {report.verdict.value}</span>',
        _scores(seen.get("base.score"), seen.get("candidate.score")), points(seen.get("gain")),
        between(seen.get("gain.low"), seen.get("gain.high")), percent(seen.get("candidate.in_format")),
        f"{seen.get('problems') or 0:.0f}", shown(short(report.suite)), f"{report.alpha_spent:.4f}",
    ]  # fmt: skip
    drawn = "".join(f"<td{_kind(n)}>{cell}</td>" for n, cell in enumerate(cells))
    why = shown(report.sentence.partition(": ")[2] or report.sentence)
    told = f'<td colspan="{len(_HEAD)}" class="soft"><div class="stay">{why}</div></td>'
    return f'<tr class="of">{drawn}</tr>\n<tr>{told}</tr>\n'


def _scores(base: float | None, candidate: float | None) -> str:
    return "" if base is None or candidate is None else f"{100 * base:.1f} → {100 * candidate:.1f} %"


def _kind(column: int) -> str:
    return "" if column in _WORDS else ' class="n"'
