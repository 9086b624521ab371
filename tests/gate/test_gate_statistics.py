import math
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from flywheel.gate.statistics import (
    alpha_for,
    clopper_pearson,
    latency_estimate,
    paired_estimate,
    problems_needed,
    shrink,
    t_quantile,
)


def test_with_one_problem_a_group_it_is_the_paired_t_test():
    """Without clusters, mean, error, p and interval are the textbook's."""
    rng = random.Random(1)
    values = [rng.gauss(0.1, 0.5) for _ in range(60)]
    mine = paired_estimate(values, [str(n) for n in range(60)])
    known = stats.ttest_1samp(values, 0, alternative="greater")
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mine.p == pytest.approx(known.pvalue)
    assert mine.error == pytest.approx(statistics.stdev(values) / math.sqrt(60))
    assert (mine.low, mine.high) == pytest.approx((interval.low, interval.high))


def test_problems_that_repeat_each_other_add_no_evidence():
    """Ten copies of every problem in one group leave the error of one."""
    rng = random.Random(2)
    values = [rng.gauss(0, 1) for _ in range(20)]
    once = paired_estimate(values, [str(n) for n in range(20)])
    copied = paired_estimate([v for v in values for _ in range(10)], [str(n) for n in range(20) for _ in range(10)])
    assert copied.error == pytest.approx(once.error)
    assert copied.p == pytest.approx(once.p)


def test_clusters_do_not_promote_by_chance():
    """With 10 groups of problems that move together, a null effect is called real about as often as promised."""
    rng = random.Random(3)
    hits = 0
    for _ in range(600):
        shifts = [rng.gauss(0, 0.3) for _ in range(10)]
        values = [shifts[n % 10] + rng.gauss(0, 0.5) for n in range(100)]
        hits += paired_estimate(values, [str(n % 10) for n in range(100)]).p < 0.05
    assert hits / 600 <= 0.075


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-1, 1), st.sampled_from("abcd")), min_size=2, max_size=40))
def test_estimates_are_whole_whatever_comes(pairs):
    """A p is a chance, an interval holds its mean, and one group proves nothing."""
    found = paired_estimate([p[0] for p in pairs], [p[1] for p in pairs])
    assert 0 <= found.p <= 1
    assert found.low <= found.mean + 1e-12
    assert found.mean - 1e-12 <= found.high
    assert found.groups > 1 or found.p == 1


def test_no_variation_is_not_certainty():
    """When every problem says the same, p counts the groups' signs instead of dividing by nothing."""
    assert paired_estimate([0.0] * 9, list("abcabcabc")).p == 1
    assert paired_estimate([1.0] * 9, list("abcabcabc")).p == 0.5**3
    assert paired_estimate([], []).p == 1


def test_alpha_never_sums_to_more_than_was_given():
    """However many candidates come, the sum of what they may spend stays below alpha."""
    spent = math.fsum(alpha_for(index, 0.05) for index in range(1, 100_000))
    assert 0.0499 < spent < 0.05
    assert alpha_for(1, 0.05) == pytest.approx(0.030396, abs=1e-6)
    with pytest.raises(ValueError, match="counted from 1"):
        alpha_for(0, 0.05)


@pytest.mark.parametrize(("problems", "allowed"), [(200, 4), (300, 8), (500, 16)])
def test_error_bounds_allow_what_is_known(problems, allowed):
    """A bound of 5 % allows 4 faults of 200, 8 of 300 and 16 of 500, and not one more."""
    assert clopper_pearson(allowed, problems, 0.05)[1] <= 0.05
    assert clopper_pearson(allowed + 1, problems, 0.05)[1] > 0.05


@settings(deadline=None)
@given(st.integers(1, 200), st.floats(0, 1))
def test_clopper_pearson_agrees_with_scipy(trials, share):
    """The bounds hold the rate and are scipy's exact ones."""
    events = int(trials * share)
    low, high = clopper_pearson(events, trials, 0.025)
    known = stats.binomtest(events, trials).proportion_ci(0.95, "exact")
    assert (low, high) == pytest.approx((known.low, known.high), abs=1e-6)
    assert low <= events / trials <= high


def test_shrinkage_hides_noise_and_shows_harm():
    """A small category's bad luck is pulled back; a category that truly broke stays broken."""
    rng = random.Random(4)
    alike = {f"c{n}": [float(rng.random() < 0.6) - 0.5 for _ in range(40)] for n in range(5)}
    unlucky = shrink({**alike, "small": [-1.0, 0.5, -1.0]})
    assert unlucky["small"].mean < -0.4
    assert unlucky["small"].shrunk > -0.05
    broken = shrink({**alike, "broken": [-0.5 + 0.2 * (n % 2) for n in range(40)]})
    assert broken["broken"].shrunk < -0.3


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.floats(-1, 1), max_size=8), max_size=6))
def test_shrinking_stays_between_the_means(categories):
    """No estimate leaves the range of what was seen, and empty categories are left out."""
    found = shrink(categories)
    assert set(found) == {name for name, values in categories.items() if values}
    means = [one.mean for one in found.values()]
    assert all(min(means) - 1e-9 <= one.shrunk <= max(means) + 1e-9 for one in found.values())


def test_latency_bounds_hold_the_truth():
    """100 pairs without a difference are proven below 10 %, a true +10 % hardly ever."""
    rng = random.Random(5)
    passed = {shift: sum(
        latency_estimate([math.log1p(shift) + rng.gauss(0, 0.15) for _ in range(100)])[1] < 0.10 for _ in range(200)
    ) for shift in (0.0, 0.10)}  # fmt: skip
    assert passed[0.0] >= 198
    assert passed[0.10] <= 22
    assert latency_estimate([0.1])[1] == math.inf


def test_problems_needed_would_decide():
    """With as many more problems as it says, the same mean and spread are significant; with far fewer they are not."""
    rng = random.Random(6)
    values = [rng.gauss(0.05, 0.5) for _ in range(100)]
    found = paired_estimate(values, [str(n) for n in range(100)])
    more = problems_needed(found, 100, 0.01, found.mean)
    assert found.mean / (found.error * math.sqrt(100 / (100 + more))) >= t_quantile(0.99, 99)
    assert found.mean / (found.error * math.sqrt(100 / (100 + 0.9 * more))) < t_quantile(0.99, 99)
    assert problems_needed(found, 100, 0.01, 0.0) is None
