"""What a line's last reports say about where it is weak, as facts. Pure."""

from collections.abc import Sequence
from itertools import takewhile

from flywheel.core.facts import Value
from flywheel.core.verdicts import Report, Verdict

_FALLS = ("categories", "kept")  # the gate's checks that speak of a category which became worse


def diagnose(newest_first: Sequence[Report]) -> dict[str, Value]:
    """Return the facts about a line's last measurement; what was not measured is unknown."""
    if not newest_first:
        return {"report.exists": False, "report.falls_in_a_row": 0}
    last = newest_first[0]
    return {
        "report.exists": True,
        "report.verdict": last.verdict.value,
        "report.in_format": last.numbers.get("candidate.in_format"),
        "report.weakest_category": weakest(last),
        "report.category_fell": category_fell(last),
        "report.falls_in_a_row": sum(1 for _ in takewhile(category_fell, newest_first)),
    }


def category_fell(report: Report) -> bool:
    """Tell whether the gate found a category that became worse."""
    return any(check.name in _FALLS and check.verdict is Verdict.FAIL for check in report.checks)


def weakest(report: Report) -> float | None:
    """Return the candidate's score in the category where it is lowest."""
    scores = [score for one in report.categories.values() if (score := one.get("candidate")) is not None]
    return min(scores, default=None)
