"""What happened after a tool call, as evidence and as weight. Pure.

A call is good when somebody who could know said so: the domain's validation or the person. That it was retried,
corrected or rolled back within the days that count speaks against it and decides. A commit alone decides nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from flywheel.core.labels import judge
from flywheel.core.outcomes import Label, Labelled, Signal

RETRY_WEIGHT, CORRECTION_WEIGHT, MULTI_TOOL_WEIGHT = 1.5, 2.0, 1.3
MERGED_WEIGHT, CLOSED_WEIGHT = 1.2, 0.5

_DAY = 86_400
_VALID, _CONFIRMED, _MERGED, _COMMITTED = 0.85, 0.9, 0.3, 0.2


class Aftermath(NamedTuple):
    """What became of one call: each field is what was said of it, None or False where nothing was."""

    success: bool | None = None
    valid: bool | None = None
    quality: float | None = None
    confirmed: bool = False
    retried: bool = False
    corrected: bool = False
    committed: bool = False
    merged: bool = False
    closed: bool = False
    rolled_back: tuple[datetime | None, ...] = ()
    follows_retry: bool = False
    follows_correction: bool = False
    many_tools: bool = False


def label_call(at: datetime, after: Aftermath, rollback_days: float, minimum_quality: float) -> Labelled:
    """Label a call; its quality is the agent's own number, and never more than the evidence bears."""
    labelled = judge(tuple(_signals(at, after, rollback_days)))
    if labelled.label is not Label.POSITIVE:
        return labelled
    quality = min(labelled.confidence, 1.0 if after.quality is None else after.quality)
    if quality >= minimum_quality:
        return labelled.model_copy(update={"confidence": quality})
    low = Signal(name="quality_below_minimum", points=0, strength=0.0, note=f"{quality:g} of {minimum_quality:g}")
    return Labelled(label=Label.UNKNOWN, confidence=0.0, signals=(*labelled.signals, low))


def weight_of(after: Aftermath) -> float:
    """Return how much a call counts: what was learned the hard way counts more, what was thrown away less."""
    weights = (
        (after.follows_retry, RETRY_WEIGHT),
        (after.follows_correction, CORRECTION_WEIGHT),
        (after.many_tools, MULTI_TOOL_WEIGHT),
        (after.merged, MERGED_WEIGHT),
        (after.closed and not after.merged, CLOSED_WEIGHT),
    )
    product = 1.0
    for applies, weight in weights:
        product *= weight if applies else 1.0
    return round(product, 6)


def _signals(at: datetime, after: Aftermath, rollback_days: float) -> list[Signal]:
    found = [
        Signal(name=name, points=points, strength=strength)
        for applies, name, points, strength in (
            (after.valid is True, "domain_valid", 1, _VALID),
            (after.valid is False, "domain_invalid", -1, 0.9),
            (after.success is False, "tool_failed", -1, 0.9),
            (after.confirmed, "user_confirmed", 1, _CONFIRMED),
            (after.corrected, "user_corrected", -1, 0.95),
            (after.retried, "retried", -1, 0.8),
            (after.committed, "committed", 1, _COMMITTED),
            (after.merged, "branch_merged", 1, _MERGED),
            (after.closed and not after.merged, "branch_closed", 0, 0.0),
        )
        if applies
    ]  # fmt: skip
    if after.rolled_back and _counts(at, after.rolled_back, rollback_days):
        note = f"within {rollback_days:g} days"
        found.append(Signal(name="rolled_back", points=-1, strength=0.9, note=note))
    return found


def _counts(at: datetime, rollbacks: Sequence[datetime | None], days: float) -> bool:
    """Tell whether one of them came in time; one that does not say when may have."""
    return any(when is None or (when - at).total_seconds() <= days * _DAY for when in rollbacks)
