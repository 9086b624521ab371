"""Whole canaries in front of simulated work, judged by the code that ships: how they end, and after how many tasks."""

import random
from functools import cache
from pathlib import Path
from typing import NamedTuple

from flywheel.core.lines import RolloutPlan
from flywheel.policy.loading import load_policies
from flywheel.rollout.canaries import Result, earned_share, judge_canary
from flywheel.rollout.guards import TaskCalls

POLICIES = Path(__file__).parents[2] / "policies"
SUCCESS = 0.7
LONGEST = 40_000  # tasks; a canary that is not decided by then is counted as running
_WEEK = 168
_RESULTS = {(arm, success): Result(canary=arm, success=success) for arm in (True, False) for success in (True, False)}


class End(NamedTuple):
    """How a canary ended, after how many outcomes of its own, and how many tasks of both arms."""

    choice: str
    canary: int
    tasks: int


@cache
def shipped(name: str) -> RolloutPlan:
    """Return a rollout as it ships."""
    return load_policies(POLICIES).rollouts[name]


def canary(plan: RolloutPlan, change: float, seed: int, *, growth: float = 0.1, weekly: int = 0) -> End:
    """Let a canary run whose success differs by `change`, with so many tasks a week or for as long as it takes.

    Somebody looks after every 25 tasks, later after every so large a part more; what the e-processes have once proven
    stays proven, so that rare looks change when a canary ends and hardly how.
    """
    rng, share, found, at = random.Random(seed), plan.share, [], 25
    while True:
        while len(found) < at:
            is_canary = rng.random() < share
            success = rng.random() < SUCCESS + change * is_canary
            found.append(_RESULTS[is_canary, success])
        verdict = judge_canary(found, plan, at / weekly * _WEEK if weekly else 0)
        if verdict.choice != "go_on" or at >= LONGEST:
            return End(verdict.choice, verdict.numbers.canary, at)
        share = max(share, earned_share(verdict.numbers, plan))
        at += max(25, int(at * growth))


def strained_calls(seed: int, tasks: int, *, failing: float = 0.0, slower: float = 1.0) -> list[TaskCalls]:
    """Return the calls of tasks on both arms; the canary's fail more often, and last so many times as long."""
    rng, found = random.Random(seed), []
    for _ in range(tasks):
        is_canary, calls = rng.random() < 0.2, rng.randint(1, 12)
        failed = sum(rng.random() < 0.01 + failing * is_canary for _ in range(calls))
        latency = rng.lognormvariate(7, 0.8) * (slower if is_canary else 1)
        found.append(TaskCalls(canary=is_canary, calls=calls, failed=failed, latency_ms=latency))
    return found
