"""A report as one self-contained page: no scripts, nothing fetched, everything a model wrote only shown.

The verdict stands on top with the sentence a person can act on; below it the numbers that led there, then every
problem with the answers. It is read on a phone, in the dark, and without a mouse.
"""

import math
from collections.abc import Sequence

from flywheel.core.ids import short
from flywheel.core.verdicts import Check, Problem, Report, Verdict
from flywheel.gate.evidence import ROLES, Compared
from flywheel.gate.page_parts import between, number, page, percent, points, section, shown, table
from flywheel.gate.page_plots import Interval, interval_plot
from flywheel.gate.page_problems import faults_section, problems_section
from flywheel.gate.page_speeds import speed_section
from flywheel.gate.statistics import Estimate, paired_estimate

CLASS = {Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.INSUFFICIENT: "open"}
SIGN = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.INSUFFICIENT: "?"}


def render(report: Report, name: str, evidence: Sequence[Compared] = (), problems: Sequence[Problem] = ()) -> str:
    """Return the page of a report; with evidence, every problem with base beside candidate, and what was asked."""
    parts = [
        _overall(report),
        _checks(report),
        _categories(report, evidence),
        speed_section(report, evidence),
        faults_section(evidence),
        problems_section(evidence, problems),
        _numbers(report),
    ]
    return page(f"{name}: {report.verdict.value}", [_top(report, name), _links(parts), *parts, _foot(report)])


def _top(report: Report, name: str) -> str:
    kind, sign = CLASS[report.verdict], SIGN[report.verdict]
    _, _, sentence = report.sentence.partition(": ")
    return (
        f'<header><h1>{shown(name)} <span class="verdict {kind}">{sign} {shown(report.verdict.value)}</span></h1>'
        f'<p class="lead {kind}"><span>{shown(sentence or report.sentence)}</span></p></header>'
    )


def _links(parts: Sequence[str]) -> str:
    links = []
    for part in filter(None, parts):
        key = part.partition('id="')[2].partition('"')[0]
        title = part.partition("<h2>")[2].partition("</h2>")[0]
        links.append(f'<li><a href="#{key}">{title}</a></li>')
    return f'<nav aria-label="On this page"><ul>{"".join(links)}</ul></nav>' if links else ""


def _overall(report: Report) -> str:
    seen = report.numbers
    roles = [role for role in ROLES if seen.get(f"{role}.score") is not None]
    if not roles:
        return ""
    gains = {
        "candidate": (seen.get("gain"), between(seen.get("gain.low"), seen.get("gain.high"))),
        "active": _candidate_against_active(report),
    }
    rows = []
    for role in roles:
        gain, interval = gains.get(role, (None, ""))
        rows.append([
            role, percent(seen[f"{role}.score"]), points(gain), interval, percent(seen.get(f"{role}.in_format"))
        ])  # fmt: skip
    head = ("", "right", "points over the base", "95 % interval", "in the trained format")
    told = [f"{seen.get('problems') or 0:.0f} problems from {seen.get('groups') or 0:.0f} groups (repos or tasks)"]
    if samples := seen.get("samples"):
        told.append(f"{samples:.0f} answers to each")
    return section("overall", "Overall", f"<p>{shown(', '.join(told))}.</p>", table("Overall", head, rows))


def _candidate_against_active(report: Report) -> tuple[float | None, str]:
    """Return what the active adapter gained over the base; its interval is one against the candidate, not this one."""
    base, active = report.numbers.get("base.score"), report.numbers.get("active.score")
    return (active - base, "") if base is not None and active is not None else (None, "")


def _checks(report: Report) -> str:
    body = "".join(
        f'<tr><th scope="row">{shown(check.name)}</th><td class="{CLASS[check.verdict]}">{SIGN[check.verdict]} '
        f'{shown(check.verdict.value)}</td><td class="words">{shown(check.sentence)}</td>'
        f'<td class="n" data-of="number">{_seen(check)}</td><td data-of="needs">{shown(check.needs)}</td></tr>\n'
        for check in report.checks
    )
    head = "".join(f'<th scope="col">{cell}</th>' for cell in ("check", "verdict", "seen"))
    head += '<th scope="col" class="n">number</th><th scope="col">needs</th>'
    drawn = (
        '<div class="wide" role="region" aria-label="Checks" tabindex="0"><table class="stack"><thead>'
        f"<tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>"
    )
    return section("checks", "Checks", drawn)


def _seen(check: Check) -> str:
    """Return a check's number, with its interval where the rule knows one."""
    ends = [number(end) for end in (check.low, check.high) if end is not None]
    return number(check.seen) + (f"<br>({' to '.join(ends)})" if len(ends) > 1 else "")


def _categories(report: Report, evidence: Sequence[Compared]) -> str:
    if not report.categories:
        return ""
    ends = {name: _interval(name, one, evidence) for name, one in report.categories.items()}
    order = sorted(report.categories, key=lambda name: (report.categories[name].get("difference") or 0.0, name))
    bars = [_bar(name, report.categories[name].get("difference"), ends[name]) for name in order]
    seen = report.numbers
    if (gain := seen.get("gain")) is not None:
        bars.insert(0, Interval("all problems", gain, seen.get("gain.low"), seen.get("gain.high"), whole=True))
    told = (
        "Points gained over the base, with 95 % intervals where there is enough to tell. The estimate in the table "
        "borrows from the other categories what a category lacks in problems; it is what the gate judges."
    )
    plot = interval_plot("Points gained over the base, by category", bars)
    figure = f"<figure>{plot}<figcaption>{told}</figcaption></figure>"
    return section("categories", "Categories", figure, _category_table(report, order, ends))


Ends = tuple[float | None, float | None]


def _category_table(report: Report, order: Sequence[str], ends: dict[str, Ends]) -> str:
    active = any(one.get("active") is not None for one in report.categories.values())
    rows = []
    for name in order:
        one = report.categories[name]
        rows.append([
            name, f"{one.get('problems') or 0:.0f}", percent(one.get("base")), percent(one.get("candidate")),
            *([percent(one.get("active"))] if active else []), points(one.get("difference")), between(*ends[name]),
            points(one.get("shrunk")),
        ])  # fmt: skip
    head = ["category", "problems", "base", "candidate", *(["active"] if active else [])]
    return table("Categories", [*head, "difference", "95 % interval", "estimate"], rows)


def _bar(name: str, at: float | None, ends: Ends) -> Interval:
    return Interval(name, at or 0.0, *ends)


def _interval(name: str, one: dict[str, float | None], evidence: Sequence[Compared]) -> Ends:
    """Return a category's interval: the report's own, else from the evidence, else none."""
    if one.get("low") is not None and one.get("high") is not None:
        return one["low"], one["high"]
    within = [compared for compared in evidence if compared.category == name]
    found = _estimate(within)
    # All alike is no certainty: where nothing varies there is no interval to draw.
    told = found is not None and math.isfinite(found.error) and found.error > 0
    return (max(found.low, -1.0), min(found.high, 1.0)) if found is not None and told else (None, None)


def _estimate(within: Sequence[Compared]) -> Estimate | None:
    if not within:
        return None
    return paired_estimate([one.difference("base") for one in within], [one.group for one in within])


def _numbers(report: Report) -> str:
    if not report.numbers:
        return ""
    rows = [[name, number(value)] for name, value in sorted(report.numbers.items()) if value is not None]
    listed = table("Numbers", ("name", "value"), rows)
    told = f"<details><summary>{len(rows)} numbers behind the checks</summary>{listed}</details>"
    return section("numbers", "All numbers", told)


def _foot(report: Report) -> str:
    drawn = "; ".join(f"{key} {value}" for key, value in sorted(report.sampling.items()) if key != "models")
    models = report.sampling.get("models") or {}
    served = ", ".join(f"{role} {name}" for role, name in models.items()) if isinstance(models, dict) else ""
    told = [
        f"Suite {short(report.suite)} ({report.suite}), gate {report.gate}, adapter {report.adapter}.",
        f"Asked: {served}." if served else "",
        f"Drawn with {drawn}." if drawn else "",
        f"Of the suite's chance of a false promotion, {report.alpha_spent:.4f} was spent."
        if report.alpha_spent
        else "Nothing of the suite's chance of a false promotion was spent.",
    ]
    return "<footer>" + "".join(f"<p>{shown(line)}</p>" for line in told if line) + "</footer>"
