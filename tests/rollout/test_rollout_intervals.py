"""Intervals that hold at every moment: they cover what is true, and narrow with what is seen."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.rollout.intervals import difference_interval, rate_interval

ALPHA = 0.05


@given(st.integers(0, 200), st.integers(0, 200))
def test_an_interval_holds_what_was_seen(successes, failures):
    """The rate seen is inside, and the ends are rates."""
    span = rate_interval(successes, failures, ALPHA)
    assert 0 <= span.low <= span.high <= 1
    if successes + failures:
        assert span.low - 1e-4 <= successes / (successes + failures) <= span.high + 1e-4


@given(st.integers(0, 60), st.integers(0, 60))
def test_success_and_failure_are_treated_alike(successes, failures):
    """The interval of the failures is the mirror image."""
    span, mirror = rate_interval(successes, failures, ALPHA), rate_interval(failures, successes, ALPHA)
    assert (span.low, span.high) == pytest.approx((1 - mirror.high, 1 - mirror.low), abs=2e-4)


@pytest.mark.parametrize(
    ("successes", "failures", "low", "high"), [(0, 0, 0, 1), (50, 50, 0.36, 0.64), (0, 20, 0, 0.26)]
)
def test_known_intervals(successes, failures, low, high):
    """Nothing seen is nothing known; a hundred results leave about fourteen points on either side."""
    span = rate_interval(successes, failures, ALPHA)
    assert (span.low, span.high) == pytest.approx((low, high), abs=0.03)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_whoever_looks_after_every_result_is_hardly_ever_misled(rate):
    """The true rate leaves the interval at any time of 400 results in at most one of twenty runs."""
    misled = 0
    for seed in range(100):
        rng, seen = random.Random(seed), [0, 0]
        for _ in range(400):
            seen[rng.random() < rate] += 1
            span = rate_interval(seen[1], seen[0], ALPHA) if sum(seen) % 20 == 0 else None
            if span is not None and not span.low <= rate <= span.high:
                misled += 1
                break
    assert misled <= 5


def test_the_interval_of_a_difference_narrows_around_it():
    """More differences, a smaller interval; the mean stays inside."""
    rng = random.Random(1)
    found = [rng.choice((-1.0, 0.0, 1.0, 1.0)) for _ in range(400)]
    some, all_ = difference_interval(found[:50], ALPHA), difference_interval(found, ALPHA)
    assert all_.high - all_.low < some.high - some.low
    assert all_.low <= 0.25 <= all_.high
    nothing = difference_interval([], ALPHA)
    assert (nothing.low, nothing.high) == (-1, 1)


def test_the_interval_of_a_difference_hardly_ever_misses_it():
    """In at most one of twenty runs the true mean is outside at the end."""
    missed = 0
    for seed in range(40):
        rng = random.Random(seed)
        span = difference_interval([rng.choice((-1.0, 0.0, 1.0, 1.0)) for _ in range(150)], ALPHA)
        missed += not span.low <= 0.25 <= span.high
    assert missed <= 2
