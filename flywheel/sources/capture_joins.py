"""Joining outcomes to the gateway's calls: what is looked for before a transaction, what is claimed inside it.

Whichever comes first, the outcome or its call, they end up the same: an outcome that found no call waits for one, and
each call that comes late asks who waits for it. A capture that cannot be read now is asked again when it can be.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlmodel import Session

from flywheel.core.clocks import Clock
from flywheel.core.outcomes import Outcome, Signal
from flywheel.core.secrets import find_secret_in
from flywheel.sources.captures import CaptureReader
from flywheel.sources.joins import ALIKE_SECONDS, NAMED_SECONDS, CapturedCall, answer_key, joined, match, question_key
from flywheel.sources.problems import SourceProblemError
from flywheel.sources.readings import Refusal
from flywheel.store import captured_calls as rows
from flywheel.store.captured_calls import Claim, KnownCall, Unjoined
from flywheel.store.counters import cursor, move_cursor
from flywheel.store.forgotten import not_forgotten
from flywheel.store.outcomes import Ingested, outcomes_by_key, retire
from flywheel.store.stores import Store

CALLS_A_LOOK = 500
_CANDIDATES = 8  # for one outcome
_WAIT = timedelta(days=7)  # so long the capture may be away before outcomes are left as the agent told them
_NAMED, _ALIKE = timedelta(seconds=NAMED_SECONDS), timedelta(seconds=ALIKE_SECONDS)
_CURSOR = "capture/joins"
_REASON = "the captured prompt holds a secret"
_REFUSED = Signal(name="captured_secret", points=0, strength=0.0, note=_REASON)


class Found(NamedTuple):
    """What was found for a batch of outcomes: their calls, and the first call that could not be looked at (or 0)."""

    calls: Mapping[str, CapturedCall]
    blind: int = 0


class Claimed(NamedTuple):
    """What may be stored, what must not be, and how many were joined."""

    outcomes: tuple[Outcome, ...]
    refusals: tuple[Refusal, ...] = ()
    retired: Ingested = Ingested()
    joined: int = 0


class Late(NamedTuple):
    """What was found for outcomes whose calls came late; `sources` says whose each is, `end` how far the calls are."""

    found: Found
    sources: Mapping[str, str]
    end: int
    more: bool


class CaptureJoins:
    """Joins outcomes to calls. One object lives as long as its room."""

    def __init__(self, store: Store, clock: Clock, reader: CaptureReader) -> None:
        """Read the capture through the room's own reader."""
        self._store = store
        self._clock = clock
        self._reader = reader

    def find(self, outcomes: Sequence[Outcome]) -> Found:
        """Look for the calls of outcomes, without changing anything; a capture that cannot be read finds none."""
        if not outcomes:
            return Found({})
        between = min(o.at for o in outcomes) - _NAMED, max(o.at for o in outcomes) + _NAMED
        with self._store.read() as session:
            if not rows.has_calls(session):
                return Found({})
            settled = rows.joins_of(session, [outcome.key for outcome in outcomes])
            open_ones = [outcome for outcome in outcomes if outcome.key not in settled]
            answers = {outcome.key: answer_key(outcome.response) for outcome in open_ones}
            names = [name for outcome in open_ones for name in (outcome.session, outcome.task)]
            calls = rows.calls_like(session, list(answers.values()), names, between)
            sessions = rows.known_sessions(session, [outcome.session for outcome in open_ones])
        wanted = _wanted(open_ones, answers, calls)
        try:
            return Found(match(open_ones, self._reader.fetch(list(wanted)), sessions)) if wanted else Found({})
        except SourceProblemError:
            return Found({}, blind=min(call.seq for call in wanted.values()))

    def claim(self, session: Session, outcomes: Sequence[Outcome], found: Found) -> Claimed:
        """Join what was found, in the transaction that stores it; the rest waits, or is refused for its prompt."""
        outcomes = not_forgotten(session, outcomes)
        settled = rows.joins_of(session, [outcome.key for outcome in outcomes])
        claims = [Claim(call=call.call, outcome=outcome.key, task=outcome.task, rule=_rule(call))
                  for outcome in outcomes if (call := found.calls.get(outcome.key))]  # fmt: skip
        taken = rows.claim(session, claims)
        kept = [joined(outcome, found.calls[outcome.key]) if outcome.key in taken else outcome for outcome in outcomes]
        has_call = settled.keys() | taken
        self._wait(session, [outcome for outcome in outcomes if outcome.key not in has_call])
        _look_again(session, found.blind)
        refused = settled | {one.outcome: one.rule for one in claims if one.outcome in taken}
        refused = {key: rule for key, rule in refused.items() if rule}
        return Claimed(
            outcomes=tuple(outcome for outcome in kept if outcome.key not in refused),
            refusals=tuple(Refusal(row=key, rule=rule, reason=_REASON) for key, rule in refused.items()),
            retired=retire(session, sorted(refused), _REFUSED),
            joined=len(taken),
        )

    def find_late(self) -> Late | None:
        """Look for calls that have come since the last time and for which outcomes waited; None when none came."""
        with self._store.read() as session:
            after = _reached(session)
            calls = rows.calls_after(session, after, CALLS_A_LOOK)
            more = len(calls) == CALLS_A_LOOK
            end = calls[-1].seq if more else rows.last_call(session)
            keys = rows.awaiting(session, calls, _NAMED, _ALIKE) if calls else []
            waiting = [stored.outcome for stored in outcomes_by_key(session, keys)]
        if end == after:
            return None
        sources = {outcome.key: outcome.source for outcome in waiting}
        return Late(found=self.find(waiting), sources=sources, end=end, more=more)

    def claim_late(self, session: Session, late: Late) -> Claimed:
        """Join what was found late, and let go of what has waited too long."""
        _move(session, late.end)
        rows.forget_waiting(session, self._clock.now() - _WAIT)
        waiting = [stored.outcome for stored in outcomes_by_key(session, list(late.found.calls))]
        return self.claim(session, waiting, late.found)

    def _wait(self, session: Session, outcomes: Iterable[Outcome]) -> None:
        """Remember the recent outcomes that found no call; without a capture, those that its beginning may hold."""
        since = self._clock.now() - (_WAIT if self._reader.is_there() else _ALIKE)
        rows.await_calls(session, [Unjoined(key=outcome.key, session=outcome.session,
                                            answer=answer_key(outcome.response), at=outcome.at)
                                   for outcome in outcomes if outcome.at >= since])  # fmt: skip


def _wanted(
    outcomes: Iterable[Outcome], answers: Mapping[str, str], calls: Sequence[KnownCall]
) -> Mapping[str, KnownCall]:
    """Return the calls worth reading whole: for each outcome the few that are most likely to be it."""
    by_answer, by_name = _grouped(calls, "answer"), _grouped(calls, "session", "task")
    wanted: dict[str, KnownCall] = {}
    for outcome in outcomes:
        question, answer = question_key(outcome.messages), answers[outcome.key]
        likely = [*by_answer.get(answer, ()), *by_name.get(outcome.session, ()), *by_name.get(outcome.task, ())]
        ranked = sorted(
            {call.call: call for call in likely}.values(),
            key=lambda call: (call.answer != answer, call.question != question, abs(call.at - outcome.at), call.seq),
        )
        exact = [call for call in ranked if (call.answer, call.question) == (answer, question)]
        wanted.update({call.call: call for call in (exact or ranked)[:_CANDIDATES]})
    return wanted


def _grouped(calls: Iterable[KnownCall], *names: str) -> Mapping[str, Sequence[KnownCall]]:
    groups: dict[str, list[KnownCall]] = {}
    for call in calls:
        for value in {getattr(call, name) for name in names} - {""}:
            groups.setdefault(value, []).append(call)
    return groups


def _rule(call: CapturedCall) -> str:
    """Return the name of the secret that a prompt holds, if any."""
    texts = [message.content for message in call.messages]
    return find_secret_in([*texts, json.dumps(call.tools, ensure_ascii=False)]) or ""


def _reached(session: Session) -> int:
    held = cursor(session, _CURSOR).get("seq", 0)
    return held if isinstance(held, int) else 0


def _move(session: Session, seq: int) -> None:
    move_cursor(session, _CURSOR, {"seq": seq})


def _look_again(session: Session, blind: int) -> None:
    """Have the calls from this one on ask once more who waits for them."""
    if blind and blind <= _reached(session):
        _move(session, blind - 1)
