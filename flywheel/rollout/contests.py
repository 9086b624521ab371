"""Judges a contest of two adapters: who is better, by how much, and whether that is proven. Pure.

Both arms are fresh when it begins, and a task counts for the one arm that answered all of it. A contest ends when its
time is over, when one of the two is proven better, or when one of them moved. Everything it reports holds at whatever
moment it ends: the intervals, and the proof.
"""

from collections.abc import Sequence
from typing import Literal

from flywheel.core.contests import Contest
from flywheel.core.frozen import Frozen
from flywheel.rollout.canaries import Result, differences
from flywheel.rollout.eprocesses import evidence
from flywheel.rollout.guards import TaskCalls
from flywheel.rollout.intervals import difference_interval, rate_interval

ALPHA = 0.05


class ArmReport(Frozen):
    """What one adapter did: its tasks, how many succeeded, the rates that are not ruled out, and its calls."""

    name: str
    share: float
    tasks: int
    successes: int
    rate: float | None
    low: float
    high: float
    calls: int = 0
    failed_calls: int = 0
    latency_ms: float | None = None


class ContestReport(Frozen):
    """Both arms beside each other; the difference is the second's success minus the first's."""

    line: str
    arms: tuple[ArmReport, ArmReport]
    difference: float | None
    low: float
    high: float
    better: Literal["", "first", "second"]
    hours: float
    alpha: float = ALPHA
    sentence: str = ""


def report_of(
    contest: Contest, line: str, results: Sequence[Result], calls: Sequence[TaskCalls], hours: float
) -> ContestReport:
    """Return the report of a contest as things stand; `canary` in results and calls is the second adapter."""
    span = difference_interval([-step for step in differences(results)], ALPHA)
    seen = glance_at(contest, line, results, calls, hours)
    return seen.model_copy(update={"low": span.low, "high": span.high})


def glance_at(
    contest: Contest, line: str, results: Sequence[Result], calls: Sequence[TaskCalls], hours: float
) -> ContestReport:
    """Return the report without the interval of the difference, which takes many times as long as all the rest."""
    ours, our_calls = [r for r in results if r.canary], [c for c in calls if c.canary]
    theirs, their_calls = [r for r in results if not r.canary], [c for c in calls if not c.canary]
    first = _arm(contest.first, 1 - contest.share, theirs, their_calls)
    second = _arm(contest.second, contest.share, ours, our_calls)
    steps = list(differences(results))
    better: Literal["", "first", "second"] = ""
    if evidence(steps, ALPHA / 2).rejects:
        better = "first"
    elif evidence([-step for step in steps], ALPHA / 2).rejects:
        better = "second"
    gap = None if first.rate is None or second.rate is None else round(second.rate - first.rate, 4)
    report = ContestReport(
        line=line, arms=(first, second), difference=gap, low=-1.0, high=1.0, better=better,
        hours=round(hours, 2),
    )  # fmt: skip
    return report.model_copy(update={"sentence": _sentence(report)})


def _arm(name: str, share: float, results: Sequence[Result], calls: Sequence[TaskCalls]) -> ArmReport:
    good = sum(result.success for result in results)
    span = rate_interval(good, len(results) - good, ALPHA)
    timed = sorted(task.latency_ms for task in calls if task.latency_ms is not None)
    return ArmReport(
        name=name,
        share=round(share, 9),
        tasks=len(results),
        successes=good,
        rate=round(good / len(results), 4) if results else None,
        low=span.low,
        high=span.high,
        calls=sum(task.calls for task in calls),
        failed_calls=sum(task.failed for task in calls),
        latency_ms=round(timed[len(timed) // 2], 1) if timed else None,
    )


def _sentence(report: ContestReport) -> str:
    first, second = report.arms
    if first.rate is None or second.rate is None:
        return f"{first.name} and {second.name} cannot be compared: {first.tasks} and {second.tasks} tasks ended"
    seen = f"success {first.rate:.0%} beside {second.rate:.0%} in {first.tasks} and {second.tasks} tasks"
    if report.better:
        winner, loser = (first, second) if report.better == "first" else (second, first)
        told = f"{winner.name} is better than {loser.name}: {seen}"
    else:
        told = f"neither {first.name} nor {second.name} is proven better: {seen}"
    return told.replace("%", " %")
