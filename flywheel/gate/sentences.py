"""How the gate speaks: numbers as people read them, and a check made of them. Pure."""

import math

from flywheel.core.verdicts import Check, Verdict
from flywheel.gate.statistics import Estimate

Interval = tuple[float, float]
_ROUNDING = 1e-9  # what adding up a few thousand scores may leave


def make_check(name: str, verdict: Verdict, seen: float | None, needs: str, sentence: str) -> Check:
    """Return a check without an interval; what is not finite was not seen."""
    return Check(name=name, verdict=verdict, seen=_finite(seen), needs=needs, sentence=sentence)


def bounded(check: Check, low: float | None, high: float | None) -> Check:
    """Return the check with the interval that holds its number."""
    return check.model_copy(update={"low": _finite(low), "high": _finite(high)})


def reaches(value: float, floor: float, *, strictly: bool = False) -> bool:
    """Tell whether a floor is reached, or passed where exactly the floor is too little; rounding does not decide."""
    return value > floor + _ROUNDING if strictly else value >= floor - _ROUNDING


def asked(floor: str, *, strictly: bool) -> str:
    """Return how a floor is asked for."""
    return f"more than {floor}" if strictly else f"at least {floor}"


def more_problems(problems: int | None) -> str:
    """Return how many more problems would decide, as the end of a sentence."""
    if problems:
        return f"; about {problems} more problems would decide this"
    return "; more problems would not decide this soon"


def interval(estimate: Estimate) -> str:
    """Return the interval of a difference, in points."""
    if not math.isfinite(estimate.error):
        return f" ({estimate.groups} group gives no interval)"
    return f" (95 %: {signed(estimate.low)} to {signed(estimate.high)})"


def moved(value: float) -> str:
    """Return what was gained or lost, in points."""
    return f"{'gained' if value >= 0 else 'lost'} {points(abs(value))}"


def points(value: float) -> str:
    """Return a share as points."""
    return f"{100 * value:.1f}"


def signed(value: float) -> str:
    """Return a difference as points with their sign."""
    return f"{100 * value:+.1f}"


def percent(value: float) -> str:
    """Return a share in percent."""
    return f"{100 * value:.1f} %"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
