"""A test that may be looked at after every result: evidence against a mean, valid at all times. Pure.

The null hypothesis says that each difference D_i in [-1, 1] has, whatever came before it, a mean of at most `m`. Under
it every product of (1 + lambda * (D_i - m)) with 0 <= lambda < 1 / (1 + |m|) is a non-negative supermartingale that
starts at 1, and so is the mean over a grid of lambdas. Ville's inequality: the chance that it ever reaches 1 / alpha is
at most alpha, however often somebody looks and whenever they stop. Where the mean is exactly `m`, E[K_t] = 1 for all t.

A small lambda finds small differences slowly, a large one finds large differences fast; the grid does both at the price
of a factor that is at most its size.
"""

from collections.abc import Iterable
from operator import mul

from flywheel.core.frozen import Frozen

GRID_SIZE = 20


class Evidence(Frozen):
    """The process after the last difference, its height at most, and the first difference at which it was enough."""

    last: float = 1.0
    largest: float = 1.0
    count: int = 0
    crossed_at: int | None = None

    @property
    def rejects(self) -> bool:
        """Tell whether the null hypothesis was rejected, at any moment."""
        return self.crossed_at is not None


def bets(mean: float = 0.0, size: int = GRID_SIZE) -> tuple[float, ...]:
    """Return the grid: `size` lambdas, evenly between 0 and the largest that cannot go bankrupt, both left out."""
    if size < 1:
        msg = "the grid needs at least one lambda"
        raise ValueError(msg)
    limit = 1.0 / (1.0 + abs(mean))
    return tuple(limit * step / (size + 1) for step in range(1, size + 1))


def evidence(differences: Iterable[float], alpha: float, mean: float = 0.0, size: int = GRID_SIZE) -> Evidence:
    """Return the evidence that the differences are larger than `mean`; what follows a rejection changes nothing."""
    lambdas = bets(mean, size)
    products = [1.0] * len(lambdas)
    factors: dict[float, list[float]] = {}  # few differences are told apart, and a canary is judged in every cycle
    last = largest = 1.0
    count = 0
    for count, difference in enumerate(differences, start=1):
        if difference not in factors:
            factors[difference] = [1.0 + bet * (_checked(difference) - mean) for bet in lambdas]
        products = list(map(mul, products, factors[difference]))
        last = sum(products) / len(products)
        largest = max(largest, last)
        if last >= 1.0 / alpha:
            return Evidence(last=last, largest=largest, count=count, crossed_at=count)
    return Evidence(last=last, largest=largest, count=count)


def _checked(difference: float) -> float:
    if not -1.0 <= difference <= 1.0:  # also refuses NaN
        msg = f"a difference lies between -1 and 1, got {difference!r}"
        raise ValueError(msg)
    return difference
