"""Judges a canary by its calls beside the control's, whatever came of its tasks: do they fail, do they drag. Pure.

Calls of one task belong together, so that a task gives one value for each guard. The null hypotheses are "a canary's
calls fail at most so many points more often" and "a canary's task is at most so much slower than a control's as often
as not"; the e-process rejects each at the rollout's alpha, at any moment. A canary that is just as good is taken back
by either guard with a chance far below alpha, because it is well inside what is tolerated.
"""

from collections.abc import Iterator, Sequence
from statistics import median

from flywheel.core.frozen import Frozen
from flywheel.core.lines import RolloutPlan
from flywheel.rollout.blocks import blocks, mean
from flywheel.rollout.eprocesses import evidence


class TaskCalls(Frozen):
    """The calls of one task that one arm answered: how many, how many failed, how long the answered ones took."""

    canary: bool
    calls: int
    failed: int = 0
    latency_ms: float | None = None


class Strain(Frozen):
    """What the calls show: the part that failed, the latency of tasks in the middle, and what is too much, if it is."""

    canary_calls: int = 0
    control_calls: int = 0
    canary_failed: float | None = None
    control_failed: float | None = None
    canary_ms: float | None = None
    control_ms: float | None = None
    trouble: str = ""


def strain_of(tasks: Sequence[TaskCalls], plan: RolloutPlan) -> Strain:
    """Return what the calls of both arms show, in the order in which their tasks began."""
    canary = [task for task in tasks if task.canary]
    control = [task for task in tasks if not task.canary]
    seen = Strain(
        canary_calls=sum(task.calls for task in canary),
        control_calls=sum(task.calls for task in control),
        canary_failed=_failed(canary),
        control_failed=_failed(control),
        canary_ms=_middle(canary),
        control_ms=_middle(control),
    )
    return seen.model_copy(update={"trouble": _trouble(tasks, plan, seen)})


def _trouble(tasks: Sequence[TaskCalls], plan: RolloutPlan, seen: Strain) -> str:
    if evidence(_failures(tasks), plan.alpha, plan.guards.errors).rejects:
        return f"{_percent(seen.canary_failed)} of its calls fail, beside {_percent(seen.control_failed)}"
    if evidence(_drags(tasks, 1 + plan.guards.latency), plan.alpha).rejects:
        return f"its calls take {seen.canary_ms or 0:.0f} ms, beside {seen.control_ms or 0:.0f} ms"
    return ""


def _failures(tasks: Sequence[TaskCalls]) -> Iterator[float]:
    """Yield the canary's part of failed calls minus the control's, block by block."""
    for canary, control in blocks((task.canary, task.failed / task.calls) for task in tasks):
        yield mean(canary) - mean(control)


def _drags(tasks: Sequence[TaskCalls], factor: float) -> Iterator[float]:
    """Yield how much more often the canary was slower than the control times a factor than it was not."""
    for canary, control in blocks((task.canary, task.latency_ms) for task in tasks if task.latency_ms is not None):
        signs = [(ours > factor * theirs) - (ours < factor * theirs) for ours in canary for theirs in control]
        yield sum(signs) / len(signs)


def _failed(tasks: Sequence[TaskCalls]) -> float | None:
    calls = sum(task.calls for task in tasks)
    return round(sum(task.failed for task in tasks) / calls, 4) if calls else None


def _middle(tasks: Sequence[TaskCalls]) -> float | None:
    known = [task.latency_ms for task in tasks if task.latency_ms is not None]
    return round(median(known), 1) if known else None


def _percent(part: float | None) -> str:
    return "none" if part is None else f"{part:.0%}".replace("%", " %")
