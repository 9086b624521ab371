"""Judges a canary by what became of the tasks it answered beside those of its control. Pure.

Roll back when the outcomes show that the canary is worse: the null hypothesis is "success on the canary is at least
that on the control", the difference is control minus canary, and an e-process rejects it at the rollout's alpha at any
moment, so that a look after every outcome costs nothing. Promote when the rollout's number of outcomes is in, nothing
speaks for a rollback and the success seen is not lower than the control's by more than what is tolerated.

Differences are taken from blocks of neighbouring results: a block ends as soon as it holds a result of either arm, its
difference is that of the arms' means, and each result stands in one block only. Where a block ends depends on who came,
never on how it went; so under the null each difference has a mean of at most 0 whatever came before, as the e-process
asks. (Using the last control result again for a second canary result would break that.)
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from flywheel.core.frozen import Frozen
from flywheel.core.lines import RolloutPlan
from flywheel.rollout.eprocesses import evidence

Choice = Literal["go_on", "promote", "roll_back"]


class Result(Frozen):
    """How one task ended, and whether the canary or the control answered it."""

    canary: bool
    success: bool


class CanaryNumbers(Frozen):
    """What was seen so far. `evidence` is the e-process at its highest; it rejects at `needed`."""

    canary: int
    control: int
    canary_rate: float | None
    control_rate: float | None
    difference: float | None
    blocks: int
    evidence: float
    needed: float
    hours: float


class CanaryVerdict(Frozen):
    """What to do with a canary, the numbers it rests on, and both in a sentence."""

    choice: Choice
    numbers: CanaryNumbers
    sentence: str


def judge_canary(results: Sequence[Result], plan: RolloutPlan, hours: float) -> CanaryVerdict:
    """Return the verdict on a canary that has run for so many hours; results in the order they came."""
    found = evidence(differences(results), plan.alpha)
    numbers = _numbers(results, plan, hours, blocks=found.count, height=found.largest)
    seen = _seen(numbers, plan)
    if found.rejects:
        return CanaryVerdict(choice="roll_back", numbers=numbers, sentence=f"worse than its control: {seen}")
    if numbers.canary >= plan.minimum_outcomes and _is_tolerable(numbers, plan):
        return CanaryVerdict(choice="promote", numbers=numbers, sentence=f"not worse than its control: {seen}")
    if hours >= plan.longest_hours:
        return _out_of_time(numbers, plan, seen)
    return CanaryVerdict(choice="go_on", numbers=numbers, sentence=seen)


def differences(results: Iterable[Result]) -> Iterator[float]:
    """Yield control minus canary, block by block."""
    canary: list[bool] = []
    control: list[bool] = []
    for result in results:
        (canary if result.canary else control).append(result.success)
        if canary and control:
            yield _mean(control) - _mean(canary)
            canary, control = [], []


def _out_of_time(numbers: CanaryNumbers, plan: RolloutPlan, seen: str) -> CanaryVerdict:
    hours = f"after {plan.longest_hours:g} hours"
    if numbers.difference is None:
        words = {"promote": "promotes", "roll_back": "takes it back"}[plan.without_outcomes]
        sentence = f"{hours} nothing can be compared, and rollout {plan.name!r} {words} then: {seen}"
        return CanaryVerdict(choice=plan.without_outcomes, numbers=numbers, sentence=sentence)
    if _is_tolerable(numbers, plan):
        sentence = f"{hours} too few outcomes for proof, by what was seen it is good enough: {seen}"
        return CanaryVerdict(choice="promote", numbers=numbers, sentence=sentence)
    sentence = f"{hours} no proof, by what was seen it is worse than tolerated: {seen}"
    return CanaryVerdict(choice="roll_back", numbers=numbers, sentence=sentence)


def _is_tolerable(numbers: CanaryNumbers, plan: RolloutPlan) -> bool:
    return numbers.difference is not None and numbers.difference >= -plan.tolerated_loss


def _numbers(
    results: Sequence[Result], plan: RolloutPlan, hours: float, *, blocks: int, height: float
) -> CanaryNumbers:
    canary = [result.success for result in results if result.canary]
    control = [result.success for result in results if not result.canary]
    both = bool(canary and control)
    return CanaryNumbers(
        canary=len(canary),
        control=len(control),
        canary_rate=round(_mean(canary), 4) if canary else None,
        control_rate=round(_mean(control), 4) if control else None,
        difference=round(_mean(canary) - _mean(control), 9) if both else None,
        blocks=blocks,
        evidence=round(height, 4),
        needed=round(1 / plan.alpha, 4),
        hours=round(hours, 2),
    )


def _seen(numbers: CanaryNumbers, plan: RolloutPlan) -> str:
    counted = f"{numbers.canary} of {plan.minimum_outcomes} outcomes"
    if numbers.canary_rate is None:
        return counted
    beside = "nothing yet" if numbers.control_rate is None else f"{numbers.control_rate:.0%}"
    return f"{counted}, success {numbers.canary_rate:.0%} beside {beside}".replace("%", " %")


def _mean(values: Sequence[bool]) -> float:
    return sum(values) / len(values)
