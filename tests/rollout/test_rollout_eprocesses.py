"""The e-process keeps its promise: worth 1 under the null, whoever looks and whenever."""

import itertools
import math
import os
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.rollout.eprocesses import bets, evidence

NEVER = 1e-300


def enumerated(outcomes, length, mean=0.0):
    """Return E[K] after `length` draws from {difference: chance}, by looking at every path there is."""
    total = 0.0
    for path in itertools.product(outcomes.items(), repeat=length):
        chance = 1.0
        for _, probability in path:
            chance *= probability
        total += chance * evidence([difference for difference, _ in path], NEVER, mean).last
    return total


@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize(
    ("outcomes", "mean"),
    [
        ({-1.0: 0.5, 1.0: 0.5}, 0.0),
        ({-1.0: 0.25, 0.0: 0.5, 1.0: 0.25}, 0.0),
        ({-0.5: 0.6, 0.75: 0.4}, 0.0),
        ({-1.0: 0.45, 1.0: 0.55}, 0.1),
        ({-1.0: 0.6, 1.0: 0.4}, -0.2),
    ],
)
def test_under_the_null_the_process_is_worth_one(outcomes, mean, length):
    """Exact enumeration: E[K_t] = 1 for every t where the mean is the null's."""
    assert enumerated(outcomes, length, mean) == pytest.approx(1.0, abs=1e-12)


def test_inside_the_null_it_is_worth_less():
    """Where the mean is lower than the null's, evidence shrinks on average."""
    assert enumerated({-1.0: 0.6, 1.0: 0.4}, 4) < 1.0


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_looking_after_every_result_rejects_a_true_null_at_most_alpha(alpha):
    """Exact enumeration of every path of 14 fair coins, stopped at will: the chance to reject is at most alpha."""
    paths = list(itertools.product((-1.0, 1.0), repeat=14))
    rejected = sum(evidence(path, alpha).rejects for path in paths)
    assert rejected / len(paths) <= alpha


@given(st.lists(st.floats(-1, 1), max_size=40), st.floats(-0.9, 0.9))
def test_the_process_is_never_negative_and_says_how_high_it_was(differences, mean):
    """No result can bankrupt it, and its highest value is at least where it began and where it ended."""
    found = evidence(differences, NEVER, mean)
    assert found.last >= 0
    assert found.largest >= max(1.0, found.last)
    assert found.count == len(differences)


@given(st.lists(st.floats(-1, 1), max_size=40), st.lists(st.floats(-1, 1), max_size=10))
def test_a_rejection_stands_whatever_comes_later(first, later):
    """Once rejected, always rejected, at the same difference: it does not matter how often one looks."""
    before, after = evidence(first, 0.3), evidence(first + later, 0.3)
    if before.rejects:
        assert after == before


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_larger_differences_are_more_evidence(differences):
    """Raising every difference never lowers the evidence."""
    raised = [min(difference + 0.1, 1.0) for difference in differences]
    assert evidence(raised, NEVER).last >= evidence(differences, NEVER).last - 1e-12


def test_a_long_run_of_losses_is_soon_enough():
    """Nine straight losses reject at 5 %, and the process says at which one."""
    found = evidence([1.0] * 50, 0.05)
    assert found.crossed_at is not None
    assert found.crossed_at <= 9


@pytest.mark.parametrize("difference", [1.5, -1.01, float("nan")])
def test_a_difference_outside_its_bounds_is_refused(difference):
    """The promise holds for differences in [-1, 1] only, so others are an error."""
    with pytest.raises(ValueError, match="between -1 and 1"):
        evidence([difference], 0.05)


def test_the_grid_stays_clear_of_ruin():
    """Every lambda is positive and smaller than 1 / (1 + |m|); an empty grid is refused."""
    assert all(0 < bet < 1 / 1.3 for bet in bets(0.3))
    assert all(0 < bet < 1 / 1.3 for bet in bets(-0.3))
    with pytest.raises(ValueError, match="at least one"):
        bets(0.0, 0)


@pytest.mark.parametrize("path", list(itertools.product((-1.0, -0.5, 0.25, 1.0), repeat=4))[::17])
@pytest.mark.parametrize("mean", [0.0, 0.125, -0.25])
def test_the_process_is_the_formula(path, mean):
    """K = mean over lambda of the product of 1 + lambda (D - m), worked out in fractions."""
    exact = [Fraction(bet) for bet in bets(mean)]
    products = [math.prod(1 + bet * (Fraction(one) - Fraction(mean)) for one in path) for bet in exact]
    assert evidence(path, NEVER, mean).last == pytest.approx(float(sum(products) / len(products)), rel=1e-12)


SOAK = bool(os.environ.get("FLYWHEEL_SOAK"))


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("change", "least", "most"), [(0.0, 0.0, 0.05), (0.05, 0.75, 1.0), (0.1, 0.97, 1.0), (0.2, 1.0, 1.0)]
)
def test_canaries_are_taken_back_as_often_as_is_known(change, least, most):
    """1,500 answers of a model that is right nine times in ten: no change is seldom taken back, ten points always."""
    count, rng = (4000 if SOAK else 60), random.Random(int(100 * change))
    seen = [
        evidence([(rng.random() < 0.9) - (rng.random() < 0.9 - change) for _ in range(1500)], 0.05).crossed_at
        for _ in range(count)
    ]
    taken = sorted(at for at in seen if at is not None)
    middle = taken[len(taken) // 2] if taken else "never"
    print(f"| -{100 * change:g} | {100 * len(taken) / count:.1f} % | {middle} |")
    assert least * count <= len(taken) <= most * count
