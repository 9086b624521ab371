"""What policy says to an intent, and why."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from flywheel.core.frozen import Frozen


class Judgement(StrEnum):
    """Allow it, hold it until facts change, or refuse it."""

    ALLOW = "allow"
    HOLD = "hold"
    REFUSE = "refuse"


class Reason(Frozen):
    """What one guardrail saw and said. An observing guardrail speaks but does not stop."""

    guardrail: str
    judgement: Judgement
    enforced: bool
    sentence: str


class Decision(Frozen):
    """The judgement on one intent with every reason and every fact that was looked at."""

    judgement: Judgement
    reasons: tuple[Reason, ...] = ()
    facts: dict[str, Any] = Field(default_factory=dict)
    policy_hash: str

    @property
    def sentence(self) -> str:
        """Return the decision in words."""
        stopping = [r.sentence for r in self.reasons if r.enforced and r.judgement is self.judgement]
        if self.judgement is not Judgement.ALLOW:
            return f"{self.judgement.value}: " + "; ".join(stopping)
        observed = [r.sentence for r in self.reasons if not r.enforced and r.judgement is not Judgement.ALLOW]
        agreed = len(self.reasons) - len(observed)
        told = f"; observed only: {'; '.join(observed)}" if observed else ""
        return f"allowed: {agreed} guardrail{'s' * (agreed != 1)} agreed{told}"
