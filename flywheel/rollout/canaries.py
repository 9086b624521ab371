"""Judges a canary by what became of the tasks it answered beside those of its control. Pure.

Roll back when the outcomes show that the canary is worse: the null hypothesis is "success on the canary is at least
that on the control", the difference is control minus canary, and an e-process rejects it at the rollout's alpha at any
moment, so that a look after every outcome costs nothing. Roll back, too, when its calls fail or drag (see `guards`).

Promote when the rollout's number of outcomes is in, nothing speaks for a rollback and the success seen is not lower
than the control's by more than what is tolerated. Where the rollout names a loss that must be ruled out, promote not
before a second e-process has rejected "the canary is worse by that much or more", at the same alpha: so a canary that
is worse by that much is promoted with a chance of at most alpha, however often one looks.

Differences are taken from blocks of neighbouring results (see `blocks`).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from flywheel.core.frozen import Frozen
from flywheel.core.lines import RolloutPlan
from flywheel.rollout.blocks import blocks, mean
from flywheel.rollout.eprocesses import Evidence, evidence
from flywheel.rollout.guards import Strain, TaskCalls, strain_of

Choice = Literal["go_on", "promote", "roll_back"]


class Result(Frozen):
    """How one task ended, and whether the canary or the control answered it."""

    canary: bool
    success: bool


class CanaryNumbers(Frozen):
    """What was seen so far. `evidence` is the e-process at its highest; it rejects at `needed`.

    `ruled_out` is the same for the loss that must be ruled out, where there is one.
    """

    canary: int
    control: int
    canary_rate: float | None
    control_rate: float | None
    difference: float | None
    blocks: int
    evidence: float
    needed: float
    hours: float
    ruled_out: float | None = None
    strain: Strain = Strain()


class CanaryVerdict(Frozen):
    """What to do with a canary, the numbers it rests on, and both in a sentence."""

    choice: Choice
    numbers: CanaryNumbers
    sentence: str


def judge_canary(
    results: Sequence[Result], plan: RolloutPlan, hours: float, calls: Sequence[TaskCalls] = ()
) -> CanaryVerdict:
    """Return the verdict on a canary that has run for so many hours; results and calls in the order they came."""
    steps = list(differences(results))
    worse, fine = evidence(steps, plan.alpha), against_loss(steps, plan)
    numbers = _numbers(results, plan, hours, worse).model_copy(
        update={"ruled_out": round(fine.largest, 4) if fine else None, "strain": strain_of(calls, plan)}
    )
    seen = _seen(numbers, plan)
    if numbers.strain.trouble:
        return CanaryVerdict(choice="roll_back", numbers=numbers, sentence=f"{numbers.strain.trouble}: {seen}")
    if worse.rejects:
        return CanaryVerdict(choice="roll_back", numbers=numbers, sentence=f"worse than its control: {seen}")
    if numbers.canary >= plan.minimum_outcomes and is_tolerable(numbers, plan) and (fine is None or fine.rejects):
        return CanaryVerdict(choice="promote", numbers=numbers, sentence=f"not worse than its control: {seen}")
    if hours >= plan.longest_hours:
        return _out_of_time(numbers, plan, seen)
    return CanaryVerdict(choice="go_on", numbers=numbers, sentence=f"{seen}{_lacks(numbers, plan)}")


def differences(results: Iterable[Result]) -> Iterator[float]:
    """Yield control minus canary, block by block."""
    for canary, control in blocks((result.canary, float(result.success)) for result in results):
        yield mean(control) - mean(canary)


def against_loss(steps: Iterable[float], plan: RolloutPlan) -> Evidence | None:
    """Return the evidence against the loss that the rollout wants ruled out; None where it wants none."""
    loss = plan.ruled_out_loss
    return None if loss is None else evidence((-step for step in steps), plan.alpha, -loss)


def earned_share(numbers: CanaryNumbers, plan: RolloutPlan) -> float:
    """Return the share that a canary with these outcomes may have."""
    earned = [step.share for step in plan.steps if numbers.canary >= step.after]
    return earned[-1] if earned and is_tolerable(numbers, plan) else plan.share


def is_tolerable(numbers: CanaryNumbers, plan: RolloutPlan) -> bool:
    """Tell whether the success seen is not lower than the control's by more than what is tolerated."""
    return numbers.difference is not None and numbers.difference >= -plan.tolerated_loss


def _out_of_time(numbers: CanaryNumbers, plan: RolloutPlan, seen: str) -> CanaryVerdict:
    hours = f"after {plan.longest_hours:g} hours"
    if numbers.difference is None:
        words = {"promote": "promotes", "roll_back": "takes it back"}[plan.without_outcomes]
        sentence = f"{hours} nothing can be compared, and rollout {plan.name!r} {words} then: {seen}"
        return CanaryVerdict(choice=plan.without_outcomes, numbers=numbers, sentence=sentence)
    if is_tolerable(numbers, plan):
        sentence = f"{hours} too few outcomes for proof, by what was seen it is good enough: {seen}"
        return CanaryVerdict(choice="promote", numbers=numbers, sentence=sentence)
    sentence = f"{hours} no proof, by what was seen it is worse than tolerated: {seen}"
    return CanaryVerdict(choice="roll_back", numbers=numbers, sentence=sentence)


def _numbers(results: Sequence[Result], plan: RolloutPlan, hours: float, worse: Evidence) -> CanaryNumbers:
    canary = [float(result.success) for result in results if result.canary]
    control = [float(result.success) for result in results if not result.canary]
    both = bool(canary and control)
    return CanaryNumbers(
        canary=len(canary),
        control=len(control),
        canary_rate=round(mean(canary), 4) if canary else None,
        control_rate=round(mean(control), 4) if control else None,
        difference=round(mean(canary) - mean(control), 9) if both else None,
        blocks=worse.count,
        evidence=round(worse.largest, 4),
        needed=round(1 / plan.alpha, 4),
        hours=round(hours, 2),
    )


def _seen(numbers: CanaryNumbers, plan: RolloutPlan) -> str:
    counted = f"{numbers.canary} of {plan.minimum_outcomes} outcomes"
    if numbers.canary_rate is None:
        return counted
    beside = "nothing yet" if numbers.control_rate is None else f"{numbers.control_rate:.0%}"
    return f"{counted}, success {numbers.canary_rate:.0%} beside {beside}".replace("%", " %")


def _lacks(numbers: CanaryNumbers, plan: RolloutPlan) -> str:
    """Return what a canary with outcomes enough still waits for."""
    if numbers.canary < plan.minimum_outcomes:
        return ""
    if not is_tolerable(numbers, plan):
        return f", {plan.tolerated_loss * 100:g} points less would be tolerated"
    return f", a loss of {(plan.ruled_out_loss or 0) * 100:g} points is not ruled out yet"
