"""Intervals that hold at every moment: look whenever you like, and stop when you like. Pure.

Of a rate: with a uniform prior over the rate, the likelihood of what was seen divided by its likelihood at a rate `p`
is a martingale that starts at 1 when `p` is true, so that the chance that it ever reaches 1 / alpha is at most alpha.
The interval holds every rate at which it has not. Of a difference: every mean that the e-process does not reject.
"""

from collections.abc import Callable, Sequence
from math import lgamma, log

from flywheel.core.frozen import Frozen
from flywheel.rollout.eprocesses import evidence

_HALVINGS = 20
_ROUGHER = 11  # the e-process walks through all differences each time, and a two-thousandth is fine enough


class Interval(Frozen):
    """From where to where, all its ends included."""

    low: float
    high: float


def rate_interval(successes: int, failures: int, alpha: float) -> Interval:
    """Return the rates that so many successes and failures do not rule out."""
    seen = successes + failures
    if not seen:
        return Interval(low=0.0, high=1.0)

    def is_ruled_out(rate: float) -> bool:
        if (rate <= 0.0 and successes) or (rate >= 1.0 and failures):
            return True
        told = (successes * log(rate) if successes else 0.0) + (failures * log(1 - rate) if failures else 0.0)
        mixed = lgamma(successes + 1) + lgamma(failures + 1) - lgamma(seen + 2)
        return mixed - told >= -log(alpha)

    middle = successes / seen
    return Interval(low=_edge(is_ruled_out, 0.0, middle, _HALVINGS), high=_edge(is_ruled_out, 1.0, middle, _HALVINGS))


def difference_interval(differences: Sequence[float], alpha: float) -> Interval:
    """Return the means that differences in [-1, 1] do not rule out; each end alone is wrong with alpha / 2."""
    negated = [-difference for difference in differences]

    def is_too_low(mean: float) -> bool:
        return evidence(differences, alpha / 2, mean).rejects

    def is_too_high(mean: float) -> bool:
        return evidence(negated, alpha / 2, -mean).rejects

    return Interval(low=_edge(is_too_low, -1.0, 1.0, _ROUGHER), high=_edge(is_too_high, 1.0, -1.0, _ROUGHER))


def _edge(is_ruled_out: Callable[[float], bool], outside: float, inside: float, halvings: int) -> float:
    """Return where the ruling out ends between a point that may be ruled out and one that is not: on the safe side."""
    if not is_ruled_out(outside):
        return outside
    for _ in range(halvings):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if is_ruled_out(middle) else (outside, middle)
    return round(outside, 4)
