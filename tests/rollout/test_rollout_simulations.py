"""What the shipped rollouts promise, simulated over the code that judges: a short look always, more in the soak.

`FLYWHEEL_SOAK=1 pytest tests/rollout/test_rollout_simulations.py -s` prints the figures of docs/rollout.md.
"""

import os
from collections import Counter

import pytest
from rollout_simulations import SUCCESS, canary, shipped, strained_calls

from flywheel.rollout.guards import strain_of

SOAK = bool(os.environ.get("FLYWHEEL_SOAK"))
LONG = pytest.mark.timeout(7200)
RUNS = 1000 if SOAK else 90
SOAK_ONLY = pytest.mark.skipif(not SOAK, reason="minutes long: FLYWHEEL_SOAK=1")


def middle(values, part):
    return sorted(values)[int(part * (len(values) - 1))]


def run(name, change, weekly=0, runs=RUNS):
    """Return how many canaries of a shipped rollout ended how, and print what the docs say of them."""
    growth = 0.05 if SOAK else 0.25
    found = [canary(shipped(name), change, seed, growth=growth, weekly=weekly) for seed in range(runs)]
    ends = Counter(end.choice for end in found)
    cells = [f"{100 * ends[choice] / runs:.1f} %" for choice in ("roll_back", "promote", "go_on")]
    sizes = [f"{middle([end[at] for end in found], 0.5)} / {middle([end[at] for end in found], 0.95)}" for at in (1, 2)]
    print("| " + " | ".join([name, str(weekly or ""), f"{100 * (SUCCESS + change):.0f} %", *cells, *sizes]) + " |")
    return ends


@LONG
@pytest.mark.parametrize("name", ["careful", "tenth"])
def test_without_a_change_hardly_any_canary_is_taken_back(name):
    """A canary as good as its control is rolled back at most twice in a hundred times, however often one looks."""
    assert run(name, 0.0)["roll_back"] <= 0.02 * RUNS


@LONG
@pytest.mark.parametrize("name", ["careful", "tenth"])
def test_a_loss_of_ten_points_is_taken_back(name):
    """A canary that is ten points worse is rolled back at least 99 times in a hundred."""
    assert RUNS - run(name, -0.1)["roll_back"] <= max(1, 0.01 * RUNS)  # one in ninety says nothing


@LONG
@SOAK_ONLY
@pytest.mark.parametrize("name", ["careful", "tenth"])
@pytest.mark.parametrize("change", [0.1, 0.05, -0.05, -0.2, -0.4])
def test_what_other_canaries_come_to(name, change):
    """The rows of the docs: better ones are promoted, much worse ones are taken back."""
    ends = run(name, change, runs=300)
    assert ends["promote" if change > 0 else "roll_back"] >= (0.98 if abs(change) != 0.05 else 0.3) * 300


@LONG
@SOAK_ONLY
@pytest.mark.parametrize("weekly", [100, 300, 1000])
@pytest.mark.parametrize("change", [0.1, 0.0, -0.1, -0.2, -0.4])
def test_what_canaries_of_few_tasks_come_to(weekly, change):
    """The rows of the docs on agents with few tasks a week: what is not proven in time is decided by what was seen."""
    ends = run("careful", change, weekly, runs=300)
    assert not ends["go_on"]


@pytest.mark.parametrize("slower", [1.0, 1.2])
def test_calls_as_good_as_the_controls_trouble_nobody(slower):
    """Neither guard of a shipped rollout takes back a canary whose calls are as good, or a little slower."""
    plan = shipped("careful")
    assert not [seed for seed in range(20) if strain_of(strained_calls(seed, 1500, slower=slower), plan).trouble]


@pytest.mark.parametrize(("given", "words"), [({"failing": 0.2}, "of its calls fail"), ({"slower": 4.0}, "calls take")])
def test_calls_that_fail_or_drag_are_found(given, words):
    """A fifth of the calls failing, or four times the latency, is found within 1,500 tasks, every time."""
    plan = shipped("careful")
    assert all(words in strain_of(strained_calls(seed, 1500, **given), plan).trouble for seed in range(20))
