"""Judges an adapter that only listens, by its answers beside those that the agent got for the same calls. Pure.

Other words and other calls are no fault: an adapter that answered as before would be none. They are counted and told.
What ends a shadow is what no agent can use: answers that fail, that are empty or hold a tool call that nobody can read,
more often than the answers the agent got, or that take longer than the rollout's guards allow. Each is one value a
pair, and the e-process rejects "not more often than tolerated" at the rollout's alpha, at any moment.
"""

from collections.abc import Sequence
from statistics import median
from typing import Literal

from flywheel.core.frozen import Frozen
from flywheel.core.lines import RolloutPlan
from flywheel.core.shadows import Pair, Spoken
from flywheel.core.tool_calls import parse_tool_calls
from flywheel.rollout.eprocesses import evidence

ShadowChoice = Literal["go_on", "pass", "fail"]
_FAILED = 500


class Likeness(Frozen):
    """How the two answers of a pair compare; `same_call` is None where neither calls a tool."""

    same_text: bool
    same_call: bool | None
    shown_failed: bool
    shadow_failed: bool
    shown_in_form: bool | None
    shadow_in_form: bool | None
    shown_ms: float | None
    shadow_ms: float | None


class ShadowNumbers(Frozen):
    """What was compared: parts of the pairs, and the latency in the middle."""

    calls: int
    wanted: int
    hours: float
    same_text: float | None = None
    same_call: float | None = None
    shown_failed: float | None = None
    shadow_failed: float | None = None
    shown_in_form: float | None = None
    shadow_in_form: float | None = None
    shown_ms: float | None = None
    shadow_ms: float | None = None


class ShadowVerdict(Frozen):
    """What to do with a shadow, the numbers it rests on, and both in a sentence."""

    choice: ShadowChoice
    numbers: ShadowNumbers
    sentence: str


def liken(pair: Pair) -> Likeness:
    """Return how two answers to one call compare."""
    shown, shadow = parse_tool_calls(pair.shown.text or ""), parse_tool_calls(pair.shadow.text or "")
    called = bool(shown.calls or shadow.calls)
    return Likeness(
        same_text=pair.shown.text is not None and _plain(pair.shown) == _plain(pair.shadow),
        same_call=shown.calls == shadow.calls if called else None,
        shown_failed=_fails(pair.shown),
        shadow_failed=_fails(pair.shadow),
        shown_in_form=_in_form(pair.shown),
        shadow_in_form=_in_form(pair.shadow),
        shown_ms=None if _fails(pair.shown) else pair.shown.latency_ms,
        shadow_ms=None if _fails(pair.shadow) else pair.shadow.latency_ms,
    )


def judge_shadow(pairs: Sequence[Likeness], plan: RolloutPlan, hours: float) -> ShadowVerdict:
    """Return the verdict on a shadow that has listened for so many hours; the pairs in the order they came."""
    numbers = _numbers(pairs, plan, hours)
    seen = _seen(numbers)
    if trouble := _trouble(pairs, plan, numbers):
        return ShadowVerdict(choice="fail", numbers=numbers, sentence=f"{trouble}: {seen}")
    if numbers.calls >= plan.shadow.calls:
        return ShadowVerdict(choice="pass", numbers=numbers, sentence=f"nothing speaks against it: {seen}")
    if hours >= plan.shadow.longest_hours:
        late = f"after {plan.shadow.longest_hours:g} hours nothing speaks against it"
        return ShadowVerdict(choice="pass", numbers=numbers, sentence=f"{late}: {seen}")
    return ShadowVerdict(choice="go_on", numbers=numbers, sentence=seen)


def _trouble(pairs: Sequence[Likeness], plan: RolloutPlan, numbers: ShadowNumbers) -> str:
    tolerated = plan.guards.errors
    failures = [float(pair.shadow_failed) - float(pair.shown_failed) for pair in pairs]
    if evidence(failures, plan.alpha, tolerated).rejects:
        return f"{_percent(numbers.shadow_failed)} of its answers fail, beside {_percent(numbers.shown_failed)}"
    formless = [float(pair.shown_in_form) - float(pair.shadow_in_form) for pair in pairs
                if pair.shown_in_form is not None and pair.shadow_in_form is not None]  # fmt: skip
    if evidence(formless, plan.alpha, tolerated).rejects:
        beside = _percent(numbers.shown_in_form)
        return f"{_percent(numbers.shadow_in_form)} of its answers can be used, beside {beside}"
    factor = 1 + plan.guards.latency
    drags = [float((pair.shadow_ms > factor * pair.shown_ms) - (pair.shadow_ms < factor * pair.shown_ms))
             for pair in pairs if pair.shadow_ms is not None and pair.shown_ms is not None]  # fmt: skip
    if evidence(drags, plan.alpha).rejects:
        return f"its answers take {numbers.shadow_ms or 0:.0f} ms, beside {numbers.shown_ms or 0:.0f} ms"
    return ""


def _numbers(pairs: Sequence[Likeness], plan: RolloutPlan, hours: float) -> ShadowNumbers:
    return ShadowNumbers(
        calls=len(pairs),
        wanted=plan.shadow.calls,
        hours=round(hours, 2),
        same_text=_part([pair.same_text for pair in pairs]),
        same_call=_part([pair.same_call for pair in pairs]),
        shown_failed=_part([pair.shown_failed for pair in pairs]),
        shadow_failed=_part([pair.shadow_failed for pair in pairs]),
        shown_in_form=_part([pair.shown_in_form for pair in pairs]),
        shadow_in_form=_part([pair.shadow_in_form for pair in pairs]),
        shown_ms=_middle([pair.shown_ms for pair in pairs]),
        shadow_ms=_middle([pair.shadow_ms for pair in pairs]),
    )


def _seen(numbers: ShadowNumbers) -> str:
    counted = f"{numbers.calls} of {numbers.wanted} calls compared"
    if not numbers.calls:
        return counted
    calls = f", {_percent(numbers.same_call)} the same tool call" if numbers.same_call is not None else ""
    return f"{counted}, {_percent(numbers.same_text)} the same text{calls}"


def _fails(spoken: Spoken) -> bool:
    return spoken.status is None or spoken.status >= _FAILED


def _in_form(spoken: Spoken) -> bool | None:
    """Tell whether an agent can use an answer: there is one, its tool calls can be read; None where none is kept."""
    if _fails(spoken) or not spoken.complete or spoken.text is None:
        return None
    return bool(spoken.text.strip()) and parse_tool_calls(spoken.text).format != "malformed"


def _plain(spoken: Spoken) -> list[str]:
    return (spoken.text or "").split()


def _part(values: Sequence[bool | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 4) if known else None


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 1) if known else None


def _percent(part: float | None) -> str:
    return "none" if part is None else f"{part:.0%}".replace("%", " %")
