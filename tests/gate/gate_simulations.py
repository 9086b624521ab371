"""Worlds with a known truth, drawn fast, for simulations over the gate's real verdict code.

The base is right half the time: chances of the problems are Beta-distributed such that 27 % of pairs of single answers
disagree. A candidate that is better by `effect` solves that much more of what the base does not.
"""

from dataclasses import dataclass

import numpy as np

from flywheel.core.lines import Gate
from flywheel.gate.evidence import Compared, Samples
from flywheel.gate.verdicts import Subject, judge

DISAGREEING = 0.27
SHAPE = DISAGREEING / (1 - 2 * DISAGREEING)  # of Beta(a, a), where E[2 p (1 - p)] = a / (2 a + 1)
JITTER = 0.209  # of the logarithm of one answer's time: four samples a role leave 0.148 of a problem's ratio
GATE = Gate(name="simulated", why="tests")


@dataclass(frozen=True)
class World:
    """How problems, groups and the candidate are; `shift` is how far groups differ in what the candidate gains."""

    problems: int = 300
    groups: int = 60
    effect: float = 0.0
    shift: float = 0.0
    samples: int = 4
    categories: int = 6
    slower: float = 0.0
    faulty: float = 0.0
    broken: float = 0.0
    uneven: bool = False


def drawn_base(world, rng):
    """Return the chances of a suite's problems, and the base's answers, measured once."""
    ease = rng.beta(SHAPE, SHAPE, world.problems)
    return ease, rng.random((world.problems, world.samples)) < ease[:, None]


def groups_of(world, rng):
    """Return every problem's group: of one size, or of very different ones."""
    if not world.uneven:
        return np.arange(world.problems) % world.groups
    share = 1 / np.arange(1, world.groups + 1)
    rest = rng.choice(world.groups, world.problems - world.groups, p=share / share.sum())
    return np.concatenate([np.arange(world.groups), rest])


def draw(world, rng, base=None):
    """Return the evidence on one candidate; with a base's chances and answers, on that suite."""
    ease, right = base or drawn_base(world, rng)
    groups = groups_of(world, rng)
    kinds = (np.arange(world.problems) // 2) % world.categories
    better = ease + 2 * world.effect * (1 - ease) + rng.normal(0, world.shift, world.groups)[groups] * bool(world.shift)
    better = np.where(kinds == 0, better - world.broken, better)
    answered = rng.random((world.problems, world.samples)) < np.clip(better, 0, 1)[:, None]
    useless = (rng.random(world.problems) < world.faulty).tolist()
    times = rng.lognormal(0, JITTER, (2, world.problems, world.samples))
    times[1] *= 1 + world.slower
    scores = [list(map(tuple, one.astype(float).tolist())) for one in (right, answered)]
    seconds = [list(map(tuple, one.tolist())) for one in times]
    return [
        Compared(f"p{n}", f"c{kind}", f"g{group}", {
            "base": Samples(scores[0][n], (False,), seconds[0][n]),
            "candidate": Samples(scores[1][n], (useless[n],), seconds[1][n]),
        })
        for n, (kind, group) in enumerate(zip(kinds.tolist(), groups.tolist(), strict=True))
    ]  # fmt: skip


def reports(world, times, seed, gate=GATE, alpha=0.05):
    """Return the reports on so many independent candidates in such a world."""
    rng = np.random.default_rng(seed)
    subject = Subject(adapter="a", suite="s", alpha=alpha)
    return [judge(draw(world, rng), gate, subject) for _ in range(times)]


def found(report, name):
    """Return a report's check by its name."""
    return next(check for check in report.checks if check.name == name)


def most_by_chance(chance, times, sure=1e-4):
    """Return the count that an event of this chance exceeds at most so rarely in so many tries."""
    from scipy.stats import binom

    return int(binom.ppf(1 - sure, times, chance))


def least_by_chance(chance, times, sure=1e-4):
    """Return the count that an event of this chance stays below at most so rarely in so many tries."""
    from scipy.stats import binom

    return int(binom.ppf(sure, times, chance))
