"""The betting bound keeps its promise exactly: every path there is, weighed by its chance."""

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.gate.bounds import betting_bound, capital, group_bound
from flywheel.gate.statistics import paired_estimate

CASES = [
    {0.0: 0.5, 1.0: 0.5}, {0.0: 0.9, 1.0: 0.1}, {0.0: 0.25, 0.5: 0.5, 1.0: 0.25}, {0.2: 0.6, 0.9: 0.4}, {0.3: 1.0},
]  # fmt: skip


def paths(outcomes, length):
    """Return every path of so many draws with its chance."""
    for path in itertools.product(outcomes.items(), repeat=length):
        yield [value for value, _ in path], math.prod(chance for _, chance in path)


def mean_of(outcomes):
    return sum(value * chance for value, chance in outcomes.items())


@pytest.mark.parametrize("length", [1, 3, 6])
@pytest.mark.parametrize("outcomes", CASES)
def test_betting_on_a_true_mean_is_worth_its_stake(outcomes, length):
    """Exact enumeration: E[K] = 1 where the mean is the true one, after any number of values."""
    mean = mean_of(outcomes)
    worth = sum(chance * capital(path, mean) for path, chance in paths(outcomes, length))
    assert worth == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
@pytest.mark.parametrize("outcomes", CASES)
def test_the_bound_is_too_high_at_most_as_often_as_promised(outcomes, alpha):
    """Exact enumeration of every path: the chance that the bound lies above the mean is at most alpha."""
    mean, length = mean_of(outcomes), 7 if len(outcomes) < 3 else 5
    wrong = sum(
        chance for path, chance in paths(outcomes, length) if betting_bound(path, alpha, 0.0, 1.0) > mean + 1e-9
    )
    assert wrong <= alpha


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.floats(0.01, 0.5))
def test_the_bound_is_where_the_capital_is_just_enough(values, alpha):
    """It lies below the mean, does not know the order, and a smaller alpha lowers it."""
    bound = betting_bound(values, alpha)
    assert -1 <= bound <= math.fsum(values) / len(values) + 1e-6
    assert betting_bound(values[::-1], alpha) == bound
    assert betting_bound(values, alpha / 2) <= bound
    if bound > -1:
        scaled = [(value + 1) / 2 for value in values]
        assert capital(scaled, (bound + 1) / 2) >= 1 / alpha - 1e-6
        assert capital(scaled, (bound + 1) / 2 + 1e-6) <= 1 / alpha * (1 + 1e-3)


def test_more_values_of_the_same_kind_raise_the_bound():
    """A hundred differences around 0.3 say more than twenty, and neither says more than the t interval by much."""
    rng = random.Random(1)
    values = [rng.choice([-0.25, 0.0, 0.25, 0.5, 1.0]) for _ in range(100)]
    groups = [str(n) for n in range(100)]
    few, many = betting_bound(values[:20], 0.05), betting_bound(values, 0.05)
    assert few < many < math.fsum(values) / 100
    assert group_bound(values, groups, 0.05) == pytest.approx(many)
    assert many <= paired_estimate(values, groups).low + 0.05


def test_groups_are_one_value_each():
    """Ten copies of every problem in one group leave the bound where it was."""
    values = [0.5, 0.25, 1.0, 0.0, 0.75, 0.5]
    once = group_bound(values, list("abcdef"), 0.05)
    assert group_bound([v for v in values for _ in range(10)], [g for g in "abcdef" for _ in range(10)], 0.05) == once


@pytest.mark.parametrize(("values", "mean", "worth"), [([], 0.5, 1.0), ([0.0, 0.0], 0.0, 1.0), ([0.1], 0.0, math.inf)])
def test_where_nothing_is_known_nothing_is_won(values, mean, worth):
    """No values are worth the stake, and a mean of zero is refuted by the first value above it."""
    assert capital(values, mean) == worth


def test_values_beyond_the_limits_are_refused():
    """The promise holds for bounded values only; none at all say nothing."""
    with pytest.raises(ValueError, match="between -1"):
        betting_bound([1.5], 0.05)
    assert betting_bound([], 0.05) == -1.0
    assert group_bound([], [], 0.05) == -1.0
    assert betting_bound([1.0] * 400, 0.05) > 0.97
