"""How a verdict looks: a sign and a word in its colour, and the numbers that led to it."""

from flywheel.core.verdicts import Report, Verdict
from flywheel.gate.pages import CLASS, SIGN
from flywheel.web.elements import Html, badge, el
from flywheel.web.numbers import percent, points_between


def verdict_badge(verdict: str) -> Html:
    """Return a verdict as people see it: told apart by its sign, not by its colour alone."""
    known = Verdict(verdict)
    return badge(f"{SIGN[known]} {known.value}", CLASS[known])


def scores(report: Report) -> str:
    """Return the share of right answers of the base and of the candidate."""
    base, candidate = report.numbers.get("base.score"), report.numbers.get("candidate.score")
    return "" if base is None or candidate is None else f"{percent(base)} → {percent(candidate)}"


def gain(report: Report) -> str:
    """Return the points gained, with their interval."""
    return points_between(*(report.numbers.get(name) for name in ("gain", "gain.low", "gain.high")))


def reason(report: Report) -> str:
    """Return the sentence of a report without the name it begins with."""
    return report.sentence.partition(": ")[2] or report.sentence


def lead(report: Report) -> Html:
    """Return a report's sentence as the first thing to read."""
    return el("p", verdict_badge(report.verdict.value), " ", reason(report), class_="lead")
