"""What an operator forbids or delays, and the whole set of policies in force. Pure."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from flywheel.core.decisions import Judgement
from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.intents import INTENTS
from flywheel.core.lines import Gate, Line, RolloutPlan
from flywheel.policy.remedies import Remedy
from flywheel.policy.rules import Conditions, Why
from flywheel.policy.words import hint


def _known_intent(kind: str) -> str:
    if kind not in INTENTS:
        raise ValueError(f"no intent is called '{kind}'{hint(kind, INTENTS)}")
    return kind


def _one_or_many(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


IntentKind = Annotated[str, AfterValidator(_known_intent)]
Guarded = Annotated[tuple[IntentKind, ...], BeforeValidator(_one_or_many), Field(min_length=1)]


class Guardrail(Frozen):
    """One rule: for these intents, when all this holds, all that must hold."""

    name: str = Field(description="the guardrail's name")
    why: Why = Field(description="the reason, for whoever is stopped by it")
    guards: Guarded = Field(description="the intent it guards, or a list of them")
    mode: Literal["enforce", "observe"] = Field(default="enforce", description="stop, or only record")
    verdict: Literal["refuse", "hold"] = Field(default="refuse", description="what happens when it does not hold")
    when: Conditions = Field(default=(), description="the cases it applies to: all of these hold")
    require: Conditions = Field(min_length=1, description="what must hold: all of these")

    @property
    def enforced(self) -> bool:
        """Tell whether it stops an intent, or only speaks."""
        return self.mode == "enforce"

    @property
    def stop(self) -> Judgement:
        """Return the judgement on an intent that does not satisfy it."""
        return Judgement(self.verdict)

    @property
    def reads(self) -> tuple[str, ...]:
        """Return every fact it looks at, once, in order."""
        return tuple(dict.fromkeys(name for each in (*self.when, *self.require) for name in each.reads))


def _by_name(guardrails: tuple[Guardrail, ...]) -> tuple[Guardrail, ...]:
    return tuple(sorted(guardrails, key=lambda each: each.name))


class PolicySet(Frozen):
    """Everything below `policies/`, whole. Its hash names the content, not the spelling."""

    guardrails: Annotated[tuple[Guardrail, ...], AfterValidator(_by_name)] = ()
    lines: Mapping[str, Line] = Field(default_factory=dict)
    gates: Mapping[str, Gate] = Field(default_factory=dict)
    rollouts: Mapping[str, RolloutPlan] = Field(default_factory=dict)
    remedies: Mapping[str, Remedy] = Field(default_factory=dict)

    @cached_property
    def hash(self) -> str:
        """Return the hash of the content: comments, white space and the order of files do not count."""
        return content_hash(self.model_dump(mode="json"))

    @property
    def guarded_kinds(self) -> frozenset[str]:
        """Return the intents that at least one guardrail guards."""
        return frozenset(kind for each in self.guardrails for kind in each.guards)
