"""What a cycle wanted and did not do: held or refused by policy, or resting after a failure. Pure."""

from flywheel.core.decisions import Decision, Judgement
from flywheel.core.frozen import Frozen
from flywheel.core.intents import Intent

_APPROVAL, _PAUSE = "release.approved", "line.is_paused"


class Denial(Frozen):
    """An intent that was not done; `waits_for_person` says that nothing but an approval is missing."""

    kind: str
    line: str
    subject: str
    why: str
    waits_for_person: bool = False
    is_paused: bool = False


def denial_of(intent: Intent, decision: Decision) -> Denial:
    """Return what became of an intent that policy did not allow."""
    stopping = [r.sentence for r in decision.reasons if r.enforced and r.judgement is not Judgement.ALLOW]
    unapproved = decision.facts.get(_APPROVAL) is False
    return Denial(
        kind=intent.kind,
        line=intent.line,
        subject=intent.subject,
        why=decision.sentence,
        waits_for_person=unapproved and bool(stopping) and all(_APPROVAL in sentence for sentence in stopping),
        is_paused=any(_PAUSE in sentence for sentence in stopping),
    )
