"""How fail-fast code is, from 0 to 100: eight metrics with weights. Pure; docs/bootstrap.md has the normalisation.

Code that swallows errors teaches a model to swallow them: what scores below 50 is defensive, from 75 on it is strong.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from flywheel.bootstrap.handler_counts import Counts

Grade = Literal["strong", "review", "defensive", "too small"]
LEAST_LINES = 30
_STRONG, _REVIEW = 75.0, 50.0


class Scale(NamedTuple):
    """A metric's weight in points, and the values at which it earns none of them and all of them."""

    points: float
    none_at: float
    all_at: float
    meaning: str

    def part(self, value: float) -> float:
        """Return which part of the points a value earns: in a straight line between the two ends."""
        return min(max((value - self.none_at) / (self.all_at - self.none_at), 0.0), 1.0)


SCALES: Mapping[str, Scale] = MappingProxyType({
    "bare_except": Scale(20, 0.10, 0.0, "handlers that say `except:`, of all handlers"),
    "blind_except": Scale(15, 0.50, 0.0, "handlers of everything that raise nothing, of all handlers"),
    "except_pass": Scale(15, 2.0, 0.0, "handlers that do nothing, in 1,000 lines"),
    "specific_handlers": Scale(15, 0.30, 0.90, "handlers that name their errors, of all handlers"),
    "direct_access": Scale(10, 0.20, 0.70, '`d["k"]`, of it and `d.get("k")` together'),
    "assert_density": Scale(10, 0.0, 0.5, "asserts in 100 lines"),
    "raise_density": Scale(10, 0.0, 1.5, "raises in 100 lines"),
    "raise_from": Scale(5, 0.0, 0.80, "`raise ... from`, of what is raised anew in handlers"),
})  # fmt: skip


class Metric(NamedTuple):
    """One metric of a score; with no occasion to be seen it earns all its points."""

    value: float | None
    points: float


class Score(NamedTuple):
    """What code earned, metric by metric."""

    points: float
    grade: Grade
    metrics: Mapping[str, Metric]


def values_of(counts: Counts) -> dict[str, float | None]:
    """Return the value of each metric; None where there was no occasion."""
    return {
        "bare_except": _ratio(counts.bare, counts.handlers),
        "blind_except": _ratio(counts.blind, counts.handlers),
        "except_pass": _ratio(1000 * counts.passing, counts.lines),
        "specific_handlers": _ratio(counts.specific, counts.handlers),
        "direct_access": _ratio(counts.subscripts, counts.subscripts + counts.gets),
        "assert_density": _ratio(100 * counts.asserts, counts.lines),
        "raise_density": _ratio(100 * counts.raises, counts.lines),
        "raise_from": _ratio(counts.raises_from, counts.raises_in_handlers),
    }


def score(counts: Counts) -> Score:
    """Return the score of what was counted in one file or many."""
    metrics = {
        name: Metric(value, round(SCALES[name].points * (1.0 if value is None else SCALES[name].part(value)), 2))
        for name, value in values_of(counts).items()
    }
    points = round(sum(metric.points for metric in metrics.values()), 1)
    return Score(points, _grade(points, counts), metrics)


def _grade(points: float, counts: Counts) -> Grade:
    if counts.lines < LEAST_LINES:
        return "too small"
    return "strong" if points >= _STRONG else "review" if points >= _REVIEW else "defensive"


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
