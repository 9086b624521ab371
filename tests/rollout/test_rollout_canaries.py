"""The canary's rule: taken back when worse, promoted when not, and never in doubt about why."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.lines import RolloutPlan
from flywheel.rollout.canaries import Result, differences, judge_canary

SHIPPED = RolloutPlan(name="careful", why="the defaults")


def results(pattern):
    """Read `C+` as a canary's success, `C-` as its failure, `o+`/`o-` the control's."""
    return [Result(canary=one[0] == "C", success=one[1] == "+") for one in pattern.split()]


def many(canary, control, rounds):
    """Return rounds of one canary result and four of the control, with these successes in a hundred, evenly spread."""
    found = []
    for turn in range(rounds):
        found += [Result(canary=False, success=(turn * 4 + k) * control // 100 != (turn * 4 + k + 1) * control // 100)
                  for k in range(4)]  # fmt: skip
        found.append(Result(canary=True, success=turn * canary // 100 != (turn + 1) * canary // 100))
    return found


def plan(**given):
    return RolloutPlan(name="careful", why="tests", **given)


def test_each_canary_result_meets_the_mean_of_the_control_since_the_last_one():
    """Differences are control minus canary, block by block."""
    assert list(differences(results("o+ o- C- o+ C+"))) == [0.5, 0.0]


def test_canary_results_without_a_control_between_them_wait_for_one():
    """No control result is used twice: results share a block until both arms are in it."""
    assert list(differences(results("o+ C- C- C+ o+ C+"))) == [1.0, 0.5]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_every_result_stands_in_one_block_at_most(pairs):
    """There are never more blocks than results of the rarer arm, and each difference is in its bounds."""
    found = [Result(canary=canary, success=success) for canary, success in pairs]
    blocks = list(differences(found))
    assert len(blocks) <= min(sum(r.canary for r in found), sum(not r.canary for r in found))
    assert all(-1 <= block <= 1 for block in blocks)


def test_the_sentence_says_how_far_it_is():
    """While it goes on: how many of how many outcomes, and both successes."""
    verdict = judge_canary(results("o+ o- C+ o- o+ C- o+ o- C+ C+"), plan(minimum_outcomes=50), 1)
    assert verdict.choice == "go_on"
    assert verdict.sentence == "4 of 50 outcomes, success 75 % beside 50 %"


def test_before_any_outcome_it_goes_on():
    """Nothing seen is nothing said."""
    verdict = judge_canary([], SHIPPED, 0)
    assert (verdict.choice, verdict.sentence) == ("go_on", "0 of 50 outcomes")


def test_a_better_canary_is_promoted_at_its_number_of_outcomes_and_not_before():
    """Promotion waits for the rollout's number of canary outcomes."""
    found = many(80, 50, 50)
    assert judge_canary(found[:-1], SHIPPED, 1).choice == "go_on"
    verdict = judge_canary(found, SHIPPED, 1)
    assert verdict.choice == "promote"
    assert verdict.sentence == "not worse than its control: 50 of 50 outcomes, success 80 % beside 50 %"


def test_a_slightly_worse_canary_is_promoted_within_what_is_tolerated_and_no_further():
    """A loss up to the tolerated one promotes, a larger one goes on."""
    found = many(46, 50, 50)
    assert judge_canary(found, plan(tolerated_loss=0.05), 1).choice == "promote"
    assert judge_canary(found, plan(tolerated_loss=0.01), 1).choice == "go_on"


def test_a_failing_canary_is_taken_back_long_before_its_number_of_outcomes():
    """Evidence does not wait for the minimum."""
    verdict = judge_canary(many(0, 90, 30), SHIPPED, 1)
    assert verdict.choice == "roll_back"
    assert verdict.numbers.evidence >= verdict.numbers.needed == 20
    assert "worse than its control" in verdict.sentence


def test_without_a_control_nothing_is_proven():
    """Canary outcomes alone promote nobody."""
    assert judge_canary(results("C+ " * 80), SHIPPED, 1).choice == "go_on"


@pytest.mark.parametrize("policy", ["promote", "roll_back"])
def test_out_of_time_without_outcomes_the_rollout_says_what_happens(policy):
    """When nothing can be compared, the operator's policy decides, and the sentence says so."""
    verdict = judge_canary([], plan(without_outcomes=policy, longest_hours=24), 24)
    assert verdict.choice == policy
    assert "after 24 hours nothing can be compared" in verdict.sentence


def test_out_of_time_with_few_outcomes_the_point_estimate_decides_and_says_so():
    """Too few outcomes for proof are still better than none."""
    better, worse = many(80, 50, 10), many(20, 50, 10)
    assert judge_canary(better, SHIPPED, 167.9).choice == "go_on"
    promoted, taken = judge_canary(better, SHIPPED, 168), judge_canary(worse, SHIPPED, 168)
    assert (promoted.choice, taken.choice) == ("promote", "roll_back")
    assert "too few outcomes for proof" in promoted.sentence
    assert "worse than tolerated" in taken.sentence


def simulated(change, rounds, plan=SHIPPED, tasks=1500, base=0.7):
    """Return how many canaries ended how, judged after every 25 tasks until one is decided."""
    rng, ends = random.Random(7), Counter()
    for _ in range(rounds):
        found = []
        for turn in range(tasks):
            canary = rng.random() < plan.share
            found.append(Result.model_construct(canary=canary, success=rng.random() < base + change * canary))
            if turn % 25 == 24 and (choice := judge_canary(found, plan, 0).choice) != "go_on":
                break
        ends[choice] += 1
    return ends


def test_simulation_without_a_change_almost_no_canary_is_taken_back():
    """At the default rollout: at most 5 % of harmless canaries are rolled back, looking all the time."""
    assert simulated(0.0, 150)["roll_back"] <= 0.05 * 150


def test_simulation_a_loss_of_twenty_points_is_found_by_every_canary_that_runs_long_enough():
    """Given 400 outcomes of its own before it may be promoted, every canary that loses 20 points is taken back."""
    long = plan(share=0.2, minimum_outcomes=400)
    assert simulated(-0.2, 60, long, tasks=2000)["roll_back"] == 60


def test_simulation_a_loss_of_twenty_points_hardly_ever_slips_through_at_fifty_outcomes():
    """At the default rollout: at most 5 % of canaries that lose 20 points are promoted by luck."""
    ends = simulated(-0.2, 150)
    assert ends["promote"] <= 0.05 * 150
    assert ends["roll_back"] >= 0.9 * 150


def test_simulation_a_loss_of_thirty_points_is_always_taken_back():
    """At the default rollout: a canary that breaks the agent is rolled back every time."""
    assert simulated(-0.3, 100)["roll_back"] == 100
