"""The gate's mathematics: plain numbers in, plain numbers out. scipy is imported where it is used only.

Every test is paired: the candidate and what it is compared with answer the same problems, and what is
tested is the mean over problems of the difference. Problems of one group (a repo, a task) resemble each
other, so the error of that mean is taken from leaving out one group at a time, with as many degrees of
freedom as there are groups but one; groups of very different sizes count as fewer (Kish), because the largest decide.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean with its error: `p` of a true mean at or below zero, `low` and `high` at 95 %, and degrees of freedom."""

    mean: float
    error: float
    groups: int
    p: float
    low: float
    high: float
    freedom: float = 1.0


@dataclass(frozen=True)
class Shrunk:
    """A category's own mean and the estimate that borrows from the others what it lacks in problems."""

    problems: int
    mean: float
    shrunk: float


def alpha_for(index: int, alpha: float) -> float:
    """Return what the `index`-th candidate on a suite may spend: however many come, the sum stays below alpha."""
    if index < 1:
        msg = f"candidates are counted from 1, not {index}"
        raise ValueError(msg)
    return alpha * 6 / (math.pi**2 * index**2)


def paired_estimate(differences: Sequence[float], groups: Sequence[str]) -> Estimate:
    """Return the mean difference with an error that knows about groups; needs two groups or says so with p = 1."""
    count = len(differences)
    mean = math.fsum(differences) / count if count else 0.0
    sums = _group_sums(differences, groups, mean)
    if len(sums) < 2:  # noqa: PLR2004 - one group says nothing about others
        return Estimate(mean, math.inf, len(sums), 1.0, -math.inf, math.inf)
    error, freedom = _robust_error(sums, count), _freedom(sums, count)
    p = _p_above_zero(mean, error, len(sums), freedom)
    reach = t_quantile(1 - (1 - CONFIDENCE) / 2, freedom) * error
    return Estimate(mean, error, len(sums), p, mean - reach, mean + reach, freedom)


def problems_needed(estimate: Estimate, problems: int, alpha: float, distance: float) -> int | None:
    """Return how many more problems like these would show the `distance` at level alpha, if that can be told."""
    if distance <= 0 or not math.isfinite(estimate.error):
        return None
    needed = problems * (t_quantile(1 - alpha, estimate.freedom) * estimate.error / distance) ** 2
    return max(1, math.ceil(needed - problems)) if math.isfinite(needed) else None


def clopper_pearson(events: float, trials: float, alpha: float) -> tuple[float, float]:
    """Return the exact bounds of a rate, each wrong at most with chance alpha; shares of an event are allowed."""
    from scipy.special import betaincinv  # the quantiles of scipy.stats.beta, bit by bit, at half the import

    if trials <= 0:
        return 0.0, 1.0
    low = 0.0 if events <= 0 else float(betaincinv(events, trials - events + 1, alpha))
    high = 1.0 if events >= trials else float(betaincinv(events + 1, trials - events, 1 - alpha))
    return low, high


def shrink(categories: Mapping[str, Sequence[float]]) -> dict[str, Shrunk]:
    """Return every category's difference, pulled towards the common mean as far as its problems are few.

    Empirical Bayes: the spread between categories that sampling alone does not explain (DerSimonian-Laird) says how
    much a category's own mean is to be believed. A category that gained far more than the others says nothing about
    how much others lose: for them its gain is cut to what lies within two errors of the median.
    """
    kept = {name: values for name, values in categories.items() if values}
    if not kept:
        return {}
    sizes = {name: len(values) for name, values in kept.items()}
    means = {name: math.fsum(values) / len(values) for name, values in kept.items()}
    noise = _noise_within(kept, means)
    cut = _without_leaders(means, sizes, noise)
    plain, careful = _pull(means, sizes, noise), _pull(cut, sizes, noise)
    return {
        name: Shrunk(sizes[name], mean, careful[name] if cut[name] == mean else plain[name])
        for name, mean in means.items()
    }


def latency_estimate(log_ratios: Sequence[float]) -> tuple[float, float]:
    """Return by what part the candidate is slower, and the bound it stays below with 95 % confidence."""
    estimate = paired_estimate(log_ratios, [str(number) for number in range(len(log_ratios))])
    if not math.isfinite(estimate.error):
        return math.expm1(estimate.mean), math.inf
    return math.expm1(estimate.mean), math.expm1(
        estimate.mean + t_quantile(CONFIDENCE, estimate.freedom) * estimate.error
    )


def t_quantile(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def _p_above_zero(mean: float, error: float, groups: int, freedom: float) -> float:
    from scipy.special import stdtr

    if error > 0:
        return float(stdtr(freedom, -mean / error))
    # Every group says exactly the same: what is left is that all signs agree by chance.
    return 0.5**groups if mean > 0 else 1.0


def _group_sums(differences: Sequence[float], groups: Sequence[str], mean: float) -> list[tuple[float, int]]:
    members: dict[str, list[float]] = {}
    for difference, group in zip(differences, groups, strict=True):
        members.setdefault(group, []).append(difference - mean)
    # Added up exactly: in which order problems were answered must not show in the last digit.
    return [(math.fsum(values), len(values)) for values in members.values()]


def _freedom(sums: Sequence[tuple[float, int]], count: int) -> float:
    """Return the degrees of freedom: of groups of one size their number less one, else what their sizes are worth."""
    return max(1.0, count**2 / sum(size**2 for _, size in sums) - 1)


def _robust_error(sums: Sequence[tuple[float, int]], count: int) -> float:
    """Return the jackknife error over groups: with groups of one size this is the usual one, else a wider one."""
    parts = [(total / (1 - size / count)) ** 2 for total, size in sums]
    error = math.sqrt(math.fsum(parts) * (len(sums) - 1) / len(sums)) / count
    return error if error > 1e-12 else 0.0  # noqa: PLR2004 - what rounding leaves of nothing


def _noise_within(categories: Mapping[str, Sequence[float]], means: Mapping[str, float]) -> float:
    freedom = sum(len(values) for values in categories.values()) - len(categories)
    squares = math.fsum((x - means[name]) ** 2 for name, values in categories.items() for x in values)
    return squares / freedom if freedom > 0 else 0.0


def _without_leaders(means: Mapping[str, float], sizes: Mapping[str, int], noise: float) -> dict[str, float]:
    middle = median(means.values())
    return {name: min(mean, middle + 2 * math.sqrt(noise / sizes[name])) for name, mean in means.items()}


def _pull(means: Mapping[str, float], sizes: Mapping[str, int], noise: float) -> dict[str, float]:
    spread = _spread_between(means, sizes, noise)
    weights = {name: 1 / (spread + noise / size) if spread + noise else 1.0 for name, size in sizes.items()}
    centre = math.fsum(weights[name] * means[name] for name in means) / math.fsum(weights.values())
    return {name: _pulled(mean, centre, spread, noise / sizes[name]) for name, mean in means.items()}


def _spread_between(means: Mapping[str, float], sizes: Mapping[str, int], noise: float) -> float:
    total = sum(sizes.values())
    centre = math.fsum(sizes[name] * mean for name, mean in means.items()) / total
    between = math.fsum(sizes[name] * (mean - centre) ** 2 for name, mean in means.items())
    scale = total - math.fsum(size**2 for size in sizes.values()) / total
    return max(0.0, (between - (len(means) - 1) * noise) / scale) if scale > 0 else 0.0


def _pulled(mean: float, centre: float, spread: float, noise: float) -> float:
    return centre + (spread / (spread + noise)) * (mean - centre) if spread + noise > 0 else mean
