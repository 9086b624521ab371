"""Writes decisions down, each once: an unchanged judgement on the same intent is not news."""

from datetime import datetime, timedelta

from flywheel.core.clocks import Clock
from flywheel.core.decisions import Decision, Judgement
from flywheel.core.events import Event
from flywheel.core.ids import content_hash
from flywheel.core.intents import Intent
from flywheel.core.rooms import Proposal
from flywheel.store import decisions as rows
from flywheel.store.ledger import append, events
from flywheel.store.stores import Store

KINDS = {
    Judgement.ALLOW: "policy.intent_allowed",
    Judgement.HOLD: "policy.intent_held",
    Judgement.REFUSE: "policy.intent_refused",
}
FAILED = "daemon.attempt_failed"
_FIRST_REST = timedelta(seconds=10)
_LONGEST_REST = timedelta(hours=6)


class Decisions:
    """Remembers, in the store, what was last said about each intent and when it may be tried again."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Write to this store."""
        self._store = store
        self._clock = clock

    def resting(self, intent: Intent) -> str:
        """Return why an intent that failed is not tried again yet, and when it is; empty when it may be tried."""
        with self._store.read() as session:
            until = rows.rests_until(session, intent.key)
            if until is None or until <= self._clock.now():
                return ""
            told = events(session, kinds=(FAILED,), line=intent.line, subject=intent.subject, limit=20)
        reasons = [event.body["reason"] for event in told if event.body.get("intent") == intent.kind]
        return f"{reasons[-1] if reasons else 'it failed'} (tried again from {until:%H:%M:%S} UTC)"

    def record(self, proposal: Proposal, decision: Decision) -> int:
        """Write a decision to the ledger unless it is the last one again; return its number."""
        intent, digest = proposal.intent, _digest(decision)
        with self._store.write() as session:
            known = rows.last_decision(session, intent.key)
            if known is not None and known[0] == digest:
                return known[1]
            event = Event(
                kind=KINDS[decision.judgement],
                at=self._clock.now(),
                line=intent.line,
                subject=intent.subject,
                cause=proposal.cause,
                body=_body(proposal, decision),
            )
            seq = append(session, event)
            rows.remember(session, intent.key, digest, seq)
        return seq

    def rest(self, intent: Intent, cause: int | None, reason: str, until: datetime | None) -> bool:
        """Let an intent rest after a failure; True when the failure is news."""
        now = self._clock.now()
        with self._store.write() as session:
            attempts, news = rows.count_attempt(session, intent.key, reason)
            pause = min(_FIRST_REST * 2 ** min(attempts, 12), _LONGEST_REST)
            rows.rest_until(session, intent.key, until or now + pause)
            if news:
                append(
                    session,
                    Event(
                        kind=FAILED,
                        at=now,
                        line=intent.line,
                        subject=intent.subject,
                        cause=cause,
                        body={"intent": intent.kind, "reason": reason},
                    ),
                )
        return news

    def forget(self, intent: Intent) -> None:
        """Forget an intent that was satisfied: the same wish later is news again."""
        with self._store.read() as session:
            known = rows.last_decision(session, intent.key)
        if known is not None:
            with self._store.write() as session:
                rows.forget(session, intent.key)


def _digest(decision: Decision) -> str:
    reasons = [[r.guardrail, r.judgement.value, r.enforced] for r in decision.reasons]
    return content_hash([decision.judgement.value, reasons, decision.policy_hash])


def _body(proposal: Proposal, decision: Decision) -> dict[str, object]:
    return {
        "intent": proposal.intent.model_dump(mode="json"),
        "facts": dict(proposal.facts),  # all of them: another policy set may ask for others
        "decision": decision.model_dump(mode="json"),
        "sentence": decision.sentence,
    }
