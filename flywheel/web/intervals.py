"""The exact bounds of a rate without the library that the gate has for it: it would double the process. Pure."""

from functools import lru_cache
from math import exp, lgamma, log

_HALVINGS = 40
_TERMS = 5000
_TINY, _NEAR = 1e-300, 1e-12


@lru_cache(maxsize=4096)
def rate_bounds(events: int, trials: int, alpha: float) -> tuple[float, float]:
    """Return between which rates the true one lies, each end wrong at most with chance alpha (Clopper-Pearson)."""
    if trials <= 0:
        return 0.0, 1.0
    low = 0.0 if events <= 0 else _quantile(alpha, events, trials - events + 1)
    high = 1.0 if events >= trials else _quantile(1 - alpha, events + 1, trials - events)
    return low, high


def _quantile(chance: float, a: float, b: float) -> float:
    """Return where the beta distribution has this much below it."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if beta_below(middle, a, b) < chance else (low, middle)
    return (low + high) / 2


def beta_below(x: float, a: float, b: float) -> float:
    """Return how much of the beta distribution lies below a number: the regularised incomplete beta function."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1 - x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _NEAR:
            break
    return value


def _away(value: float) -> float:
    """Keep a number away from nothing: it is divided by."""
    return value if abs(value) > _TINY else _TINY
