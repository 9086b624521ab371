"""A bound that holds whatever the values look like, as long as they lie between two limits. Pure.

Whoever says that a mean is `m` may be bet against: with values x in [0, 1], the capital after all of them,
K(m) = mean over c of the product of (1 - c + c * x / m) for 0 < c < 1, is worth 1 on average when the mean is `m`.
So K(m) >= 1 / alpha happens with chance alpha at most (Markov; looked at after every value: Ville). The larger `m`,
the smaller the capital: the bound is the `m` where it is just 1 / alpha. It needs no normal distribution and no large
number of values: of a few it says little, and never too much. It does not depend on the order of the values.
"""

import math
from collections.abc import Sequence

_BETS = 24
_STEPS = 40
_LARGEST = 700  # the largest exponent that a float holds, about


def capital(values: Sequence[float], mean: float, bets: int = _BETS) -> float:
    """Return what betting on values between 0 and 1 against a mean brought, from a stake of 1; infinite past floats."""
    import numpy as np

    if not 0 < mean <= 1:
        return math.inf if mean <= 0 and any(value > 0 for value in values) else 1.0
    shares = np.arange(1, bets + 1) / (bets + 1)
    ratios = np.sort(np.asarray(values, dtype=float)) / mean - 1  # sorted: the order must not show in the last digit
    logs = np.log1p(np.outer(shares, ratios)).sum(axis=1)
    highest = float(logs.max())
    return math.inf if highest > _LARGEST else float(np.exp(logs).mean())


def betting_bound(values: Sequence[float], alpha: float, low: float = -1.0, high: float = 1.0) -> float:
    """Return what the mean of independent values in [low, high] lies above, wrong at most with chance alpha."""
    if any(not low <= value <= high for value in values):
        msg = f"every value must lie between {low} and {high}"
        raise ValueError(msg)
    scaled = [(value - low) / (high - low) for value in values]
    under, over = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (under + over) / 2
        under, over = (middle, over) if capital(scaled, middle) >= 1 / alpha else (under, middle)
    return low + under * (high - low)


def group_bound(differences: Sequence[float], groups: Sequence[str], alpha: float) -> float:
    """Return the bound of the mean over groups: each group is one value, since its problems resemble each other."""
    members: dict[str, list[float]] = {}
    for difference, group in zip(differences, groups, strict=True):
        members.setdefault(group, []).append(difference)
    means = [min(1.0, max(-1.0, math.fsum(values) / len(values))) for values in members.values()]
    return betting_bound(means, alpha) if means else -1.0
