"""Writes decisions down, each once: an unchanged judgement on the same intent is not news."""

from datetime import datetime, timedelta
from typing import NamedTuple

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


class Rest(NamedTuple):
    """Why an intent is not tried now, and for how many seconds more."""

    why: str
    seconds: float


class Decisions:
    """Remembers, in the store, what was last said about each intent and when it may be tried again."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Write to this store."""
        self._store = store
        self._clock = clock

    def resting(self, intent: Intent) -> Rest | None:
        """Return why an intent that failed is not tried again yet, and for how long; None when it may be tried."""
        now = self._clock.now()
        with self._store.read() as session:
            until = rows.rests_until(session, intent.key)
            if until is None or until <= now:
                return None
            told = events(session, kinds=(FAILED,), line=intent.line, subject=intent.subject, limit=20)
        reasons = [event.body["reason"] for event in told if event.body.get("intent") == intent.kind]
        why = f"{reasons[-1] if reasons else 'it failed'} (tried again from {until:%H:%M:%S} UTC)"
        return Rest(why, max(0.05, (until - now).total_seconds()))

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

    def rest(self, intent: Intent, cause: int | None, reason: str, until: datetime | None) -> datetime:
        """Let an intent rest after a failure, and tell the ledger when that is news; return when the rest is over."""
        now = self._clock.now()
        with self._store.write() as session:
            attempts, news = rows.count_attempt(session, intent.key, reason)
            pause = min(_FIRST_REST * 2 ** min(attempts, 12), _LONGEST_REST)
            over = until or now + pause
            rows.rest_until(session, intent.key, over)
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
        return over

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
