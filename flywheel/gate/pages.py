"""A report as one self-contained page: no scripts, nothing fetched, everything a model wrote escaped."""

from collections.abc import Iterable, Sequence
from html import escape

from flywheel.core.verdicts import Report, Verdict
from flywheel.gate.evidence import ROLES, Compared, Role

_LONGEST = 2000
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:68rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
table{border-collapse:collapse;width:100%;margin:.5rem 0 2rem}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #d8dee4;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.pass{color:#116329}.fail{color:#a40e26}.open{color:#7d4e00}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0;font-size:12px}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}th,td{border-color:#30363d}
.pass{color:#3fb950}.fail{color:#ff7b72}.open{color:#d29922}}
"""
_CLASS = {Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.INSUFFICIENT: "open"}


def render(report: Report, name: str, evidence: Sequence[Compared] = ()) -> str:
    """Return the page of a report; with evidence, every problem with base beside candidate."""
    title = escape(f"{name}: {report.verdict.value}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f'<h1>{escape(name)} <span class="{_CLASS[report.verdict]}">{escape(report.verdict.value)}</span></h1>'
        f"<p>{escape(report.sentence)}</p>{_overall(report)}{_checks(report)}{_categories(report)}"
        f"{_problems(evidence)}<p>Suite {escape(report.suite)}, gate {escape(report.gate)}, adapter "
        f"{escape(report.adapter)}, alpha spent {report.alpha_spent:.4f}.</p></body></html>\n"
    )


def _overall(report: Report) -> str:
    rows = [[role, _percent(report.numbers.get(f"{role}.score")), _percent(report.numbers.get(f"{role}.in_format"))]
            for role in ROLES if report.numbers.get(f"{role}.score") is not None]  # fmt: skip
    return _table("Overall", ("", "right", "in the trained format"), rows) if rows else ""


def _checks(report: Report) -> str:
    body = "".join(
        f'<tr><td>{escape(check.name)}</td><td class="{_CLASS[check.verdict]}">{escape(check.verdict.value)}</td>'
        f"<td>{escape(check.sentence)}</td><td>{escape(check.needs)}</td></tr>"
        for check in report.checks
    )
    return f"<h2>Checks</h2><table><tr><th>check<th>verdict<th>seen<th>needs</tr>{body}</table>"


def _categories(report: Report) -> str:
    rows = [
        [name, f"{one.get('problems') or 0:.0f}", _percent(one.get("base")), _percent(one.get("candidate")),
         _points(one.get("difference")), _points(one.get("shrunk"))]
        for name, one in sorted(report.categories.items())
    ]  # fmt: skip
    head = ("category", "problems", "base", "candidate", "difference", "estimate")
    return _table("Categories", head, rows) if rows else ""


def _problems(evidence: Sequence[Compared]) -> str:
    if not evidence:
        return ""
    body = "".join(
        f"<tr><td>{escape(one.problem)}<br>{escape(one.category)}</td>"
        f"{_cell(one, 'base')}{_cell(one, 'candidate')}</tr>"
        for one in sorted(evidence, key=lambda one: (one.difference("base"), one.problem))
    )
    head = "<tr><th>problem<th>base, first answer<th>candidate, first answer</tr>"
    return f"<h2>Problems, what was lost first</h2><table>{head}{body}</table>"


def _cell(one: Compared, role: Role) -> str:
    samples = one.roles[role]
    detail = f"<br>{escape(samples.detail)}" if samples.detail else ""
    return f"<td>{_percent(samples.score)}{detail}<pre>{escape(samples.first[:_LONGEST])}</pre></td>"


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(
        f"<th>{escape(cell)}</th>" if n == 0 else f'<th class="n">{escape(cell)}</th>' for n, cell in enumerate(head)
    )
    body = "".join(
        f"<tr><td>{escape(row[0])}</td>" + "".join(f'<td class="n">{escape(cell)}</td>' for cell in row[1:]) + "</tr>"
        for row in rows
    )
    return f"<h2>{escape(title)}</h2><table><tr>{top}</tr>{body}</table>"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f}"
