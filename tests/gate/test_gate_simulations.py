"""What the gate promises, simulated over the code that judges: a short look always, 4,000 replicates in the soak.

`FLYWHEEL_SOAK=1 pytest tests/gate/test_gate_simulations.py -s` prints the figures of docs/gate.md.
"""

import os

import numpy as np
import pytest
from gate_simulations import (
    GATE,
    World,
    draw,
    drawn_base,
    found,
    least_by_chance,
    most_by_chance,
    reports,
)

from flywheel.core.verdicts import Verdict
from flywheel.gate.statistics import alpha_for
from flywheel.gate.verdicts import Subject, judge

SOAK = bool(os.environ.get("FLYWHEEL_SOAK"))
LONG = pytest.mark.timeout(7200)
#: What the rule "4 samples a problem, paired test and 5 points" is known to promote, in percent, by problems and gain.
KNOWN = {
    (100, 0.0): 4, (100, 0.05): 50, (100, 0.10): 97, (200, 0.0): 0.4, (200, 0.05): 52, (200, 0.10): 99,
    (300, 0.0): 0.1, (300, 0.05): 50, (300, 0.10): 100, (500, 0.0): 0, (500, 0.05): 50, (500, 0.10): 100,
}  # fmt: skip
SHORT_CELLS = [(100, 0.0), (300, 0.0), (300, 0.10)]


def times(long, short):
    return long if SOAK else short


def tell(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def passes(made, name=None):
    return sum((found(one, name) if name else one).verdict is Verdict.PASS for one in made)


@LONG
@pytest.mark.parametrize(("problems", "effect"), list(KNOWN) if SOAK else SHORT_CELLS)
def test_promotions_are_as_often_right_as_is_known(problems, effect):
    """By problems and true gain, the rule on points promotes as often as the known figures say, whole verdicts less."""
    count = times(4000, 120)
    made = reports(World(problems=problems, effect=effect), count, seed=problems + int(1000 * effect))
    gained, whole = passes(made, "points gained"), passes(made)
    tell(problems, f"+{100 * effect:g}", f"{KNOWN[problems, effect]} %", f"{100 * gained / count:.1f} %",
         f"{100 * whole / count:.1f} %")  # fmt: skip
    known = KNOWN[problems, effect] / 100
    assert gained <= most_by_chance(min(1.0, known + 0.02), count)
    assert gained >= least_by_chance(max(0.0, known - 0.03), count)
    assert whole <= gained
    if effect == 0.10 and problems >= 300:
        assert whole / count >= 0.9  # the power that is promised, all checks together


@LONG
def test_twenty_null_candidates_on_one_suite_are_promoted_by_chance_in_one_suite_of_twenty_at_most():
    """The base is measured once, twenty adapters that gained nothing are judged, alpha spent in their order."""
    suites, rng, fallen = times(4000, 40), np.random.default_rng(20), [0, 0]
    world = World(problems=200)
    for _ in range(suites):
        base, promoted = drawn_base(world, rng), [False, False]
        for index in range(1, 21):
            subject = Subject(adapter="a", suite="s", alpha=alpha_for(index, 0.05))
            report = judge(draw(world, rng, base), GATE, subject)
            promoted[0] |= report.numbers["gain.p"] < subject.alpha and report.numbers["gain"] > 0
            promoted[1] |= report.verdict is Verdict.PASS
        fallen = [count + one for count, one in zip(fallen, promoted, strict=True)]
    tell("20 null candidates", f"p alone {100 * fallen[0] / suites:.2f} %", f"verdict {100 * fallen[1] / suites:.2f} %")
    assert fallen[0] <= most_by_chance(0.05, suites)
    assert fallen[1] <= most_by_chance(0.05, suites)


@LONG
@pytest.mark.parametrize(("groups", "uneven"), [(6, False), (30, False), (30, True), (10, False)])
def test_intervals_hold_the_truth_as_often_as_they_say(groups, uneven):
    """95 % intervals hold a null that differs from group to group in 95 of 100 cases, with few groups, too."""
    count, world = times(4000, 300), World(problems=180, groups=groups, shift=0.15, uneven=uneven)
    made = [report.numbers for report in reports(world, count, seed=groups)]
    # What groups gain is drawn around zero and clipped on both sides alike: the true mean is zero.
    inside = sum(one["gain.low"] <= 0 <= one["gain.high"] for one in made)
    above = sum(one["gain.p"] < 0.05 for one in made)
    naive = sum(one["gain"] / (0.36 / 180**0.5) > 1.645 for one in made)
    under = sum(one["gain.bound"] <= 0 for one in made)
    tell(f"{groups} groups{' of uneven size' if uneven else ''}", f"{100 * inside / count:.1f} %",
         f"{100 * above / count:.1f} %", f"{100 * under / count:.1f} %", f"{100 * naive / count:.1f} %")  # fmt: skip
    assert inside >= least_by_chance(0.94, count)
    assert inside <= most_by_chance(0.985 if uneven else 0.965, count)
    assert above <= most_by_chance(0.06, count)
    assert under >= least_by_chance(0.95, count)


@LONG
@pytest.mark.parametrize(("slower", "known"), [(0.0, 1.0), (0.05, 0.93), (0.10, 0.05)])
def test_latency_is_passed_as_often_as_is_known(slower, known):
    """On 100 problems: as fast passes always, 5 % slower in 93 of 100, 10 % slower in 5 of 100."""
    count = times(4000, 200)
    made = reports(World(problems=100, slower=slower), count, seed=int(1000 * slower))
    passed = passes(made, "latency")
    tell(f"latency +{100 * slower:g} %", f"{100 * known:g} %", f"{100 * passed / count:.1f} %")
    assert least_by_chance(known - 0.02, count) <= passed <= most_by_chance(min(1.0, known + 0.02), count)


@LONG
@pytest.mark.parametrize(("problems", "allowed"), [(200, 4), (300, 8), (500, 16)])
def test_errors_are_passed_as_seldom_as_is_known(problems, allowed):
    """A model that fails in 5 of 100 answers passes in at most 5 of 100 cases: 4 of 200, 8 of 300, 16 of 500."""
    count = times(4000, 80)
    made = reports(World(problems=problems, faulty=0.05), count, seed=problems)
    passed = passes(made, "error rate")
    most = max(round(one.numbers["errors.rate"] * problems) for one in made if found(one, "error rate").seen <= 0.05)
    tell(f"errors, {problems} problems", f"most {most}", f"{100 * passed / count:.1f} %")
    assert most <= allowed
    assert most == allowed or not SOAK
    assert passed <= most_by_chance(0.05, count)


@LONG
@pytest.mark.parametrize(("world", "least", "most"), [
    (World(problems=200, samples=1, effect=0.05), 0.9, 1.0),
    (World(effect=0.10), 0.95, 1.0),
    (World(effect=0.0, broken=-0.3), 0.85, 1.0),
    (World(effect=0.0), 0.85, 1.0),
    (World(effect=0.10, broken=0.2), 0.0, 0.6),
    (World(effect=0.10, broken=0.3), 0.0, 0.1),
], ids=["five up", "ten up", "one gains 30", "nothing moves", "one loses 10", "one loses 20"])  # fmt: skip
def test_categories_block_what_broke_and_little_else(world, least, most):
    """Better everywhere passes, and so does what is kept; a category that lost twenty points does not."""
    count, gate = times(4000, 60), GATE.model_copy(update={"of_base": {"*": 1.0}})
    made = reports(world, count, seed=7, gate=gate)
    both = sum(found(one, "categories").verdict is found(one, "kept").verdict is Verdict.PASS for one in made)
    raw = sum(all(kind["difference"] >= 0 for kind in one.categories.values()) for one in made)
    none = sum(all(kind["shrunk"] >= 0 for kind in one.categories.values()) for one in made)
    shares = [f"{100 * number / count:.1f} %" for number in (raw, none, passes(made, "categories"), both)]
    tell(f"{world.problems} problems, {world.samples} samples, +{world.effect}, one of six {-world.broken}", *shares)
    assert least_by_chance(least, count) <= both <= most_by_chance(most, count)
