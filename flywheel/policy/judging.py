"""The judge: an intent and the facts against every guardrail that guards it. Pure.

Invariants: a guardrail can only make the judgement stricter; one that observes never
changes it; neither does the order of the files.
"""

from flywheel.core.decisions import Decision, Judgement, Reason
from flywheel.core.facts import Facts
from flywheel.core.intents import Intent
from flywheel.policy.guardrails import Guardrail, PolicySet

_STRICTNESS = {Judgement.ALLOW: 0, Judgement.HOLD: 1, Judgement.REFUSE: 2}


def judge(intent: Intent, facts: Facts, policies: PolicySet) -> Decision:
    """Allow, hold or refuse an intent, with what every guardrail that applies saw and said."""
    guarding = [each for each in policies.guardrails if intent.kind in each.guards]
    seen = {name: facts.get(name) for each in guarding for name in each.reads}
    reasons = tuple(reason for each in guarding if (reason := weigh(each, seen)) is not None)
    return Decision(judgement=_strictest(reasons), reasons=reasons, facts=seen, policy_hash=policies.hash)


def weigh(guardrail: Guardrail, facts: Facts) -> Reason | None:
    """Return what one guardrail says to the facts; None when it does not apply to them."""
    if not all(condition.holds(facts) for condition in guardrail.when):
        return None
    against = [condition for condition in guardrail.require if not condition.holds(facts)]
    sentences = "; ".join(condition.sentence(facts) for condition in against or guardrail.require)
    return Reason(
        guardrail=guardrail.name,
        judgement=guardrail.stop if against else Judgement.ALLOW,
        enforced=guardrail.enforced,
        sentence=f"{sentences} ({guardrail.name})",
    )


def _strictest(reasons: tuple[Reason, ...]) -> Judgement:
    said = (reason.judgement for reason in reasons if reason.enforced)
    return max(said, key=_STRICTNESS.__getitem__, default=Judgement.ALLOW)
