"""Does what rollout decided: moves releases, each move with its events in one transaction."""

import asyncio
from collections.abc import Callable
from typing import Any

from sqlmodel import Session

from flywheel.core.attempts import Attempt, Done
from flywheel.core.clocks import Clock
from flywheel.core.events import Event
from flywheel.core.intents import Intent
from flywheel.core.releases import ReleaseState
from flywheel.core.rooms import Plan
from flywheel.rollout.contest_moves import end_contest, start_contest
from flywheel.rollout.listeners import Pairs, no_pairs
from flywheel.rollout.moves import Move, Moves
from flywheel.rollout.plan import plan
from flywheel.rollout.readings import Lines, Readings, Rollouts
from flywheel.store.ledger import append
from flywheel.store.releases import register, release_by_name
from flywheel.store.requests import answer_request, request_by_id
from flywheel.store.runs import adapter_by_name
from flywheel.store.stores import Store


class RolloutRoom:
    """From a published adapter to the active one, and back."""

    name = "rollout"

    def __init__(self, store: Store, clock: Clock, lines: Lines, rollouts: Rollouts, pairs: Pairs = no_pairs) -> None:
        """Work on this store, for these lines under these rollouts; what shadows say comes as pairs."""
        self._store = store
        self._clock = clock
        self._readings = Readings(store, clock, lines, rollouts, pairs)
        self._moves = Moves(self._readings, rollouts)

    async def propose(self) -> Plan:
        """Return what rollout should do now."""
        return plan(await asyncio.to_thread(self._readings.situation))

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Do one allowed thing; a release that has moved meanwhile is left alone."""
        return await asyncio.to_thread(self._perform, intent, cause)

    def _perform(self, intent: Intent, cause: int | None) -> Attempt:
        with self._store.write() as session:
            if intent.kind == "rollout.register_adapter":
                return self._register(session, intent, cause)
            if intent.kind == "operator.refuse_request":
                return self._refuse(session, intent, cause)
            if intent.kind in _CONTESTS:
                sentence = _CONTESTS[intent.kind](session, intent, cause, self._clock.now())
                return _left(intent, "it was seen to already") if sentence is None else Done(sentence=sentence)
            return self._move(session, intent, cause)

    def _register(self, session: Session, intent: Intent, cause: int | None) -> Attempt:
        adapter = adapter_by_name(session, intent.subject)
        if adapter is None or release_by_name(session, intent.subject) is not None:
            return _left(intent, "there is nothing to register")
        body = {"hash": adapter.hash, "run": adapter.run, "number": adapter.number}
        event = self._event(intent, "rollout.adapter_registered", cause, body)
        register(session, adapter, self._clock.now(), append(session, event))
        return Done(sentence=f"registered {adapter.name}, inactive")

    def _refuse(self, session: Session, intent: Intent, cause: int | None) -> Attempt:
        request = request_by_id(session, intent.subject)
        if request is None or request.state != "open":
            return _left(intent, "it was answered already")
        answer = str(intent.params["answer"])
        body = {"request": request.kind, "subject": request.subject, "answer": answer}
        append(session, self._event(intent, "operator.request_refused", cause, body))
        answer_request(session, request.id, satisfied=False, answer=answer)
        return Done(sentence=f"refused a request: {answer}")

    def _move(self, session: Session, intent: Intent, cause: int | None) -> Attempt:
        release = release_by_name(session, intent.subject)
        request = request_by_id(session, str(intent.params["request"])) if "request" in intent.params else None
        asked = "request" in intent.params
        if release is None or (asked and (request is None or request.state != "open")):
            return _left(intent, "it was seen to already")
        if release.state not in _FROM[intent.kind, asked]:
            return _left(intent, f"{release.name} is {release.state.value} by now")
        move = Move(
            session=session, release=release, request=request, cause=cause, why=intent.why, at=self._clock.now(),
            params=intent.params,
        )  # fmt: skip
        sentence = _DEEDS[intent.kind](self._moves, move)
        if sentence is None:
            return _left(intent, "it stands so already, or another one is on trial")
        if request is not None:
            answer_request(session, request.id, satisfied=True, answer=sentence)
        return Done(sentence=sentence)

    def _event(self, intent: Intent, kind: str, cause: int | None, body: dict[str, Any]) -> Event:
        return Event(kind=kind, at=self._clock.now(), line=intent.line, subject=intent.subject, cause=cause, body=body)


_DEEDS: dict[str, Callable[[Moves, Move], str | None]] = {
    "rollout.approve_adapter": Moves.approve,
    "rollout.start_shadow": Moves.start_shadow,
    "rollout.compare_shadow": Moves.compare_shadow,
    "rollout.start_canary": Moves.start_canary,
    "rollout.raise_share": Moves.raise_share,
    "rollout.promote_adapter": Moves.promote,
    "rollout.roll_back_adapter": Moves.roll_back,
    "rollout.reject_adapter": Moves.reject,
    "rollout.retire_adapter": Moves.retire,
}

_CONTESTS = {"rollout.start_contest": start_contest, "rollout.end_contest": end_contest}

_S = ReleaseState
_NOBODY: frozenset[ReleaseState] = frozenset()

#: From which states each intent moves a release: by itself (False) and when a person asked for it (True).
_FROM: dict[tuple[str, bool], frozenset[ReleaseState]] = {
    ("rollout.approve_adapter", False): _NOBODY,
    ("rollout.approve_adapter", True): frozenset({_S.REGISTERED, _S.SHADOW, _S.CANARY}),
    ("rollout.start_shadow", False): frozenset({_S.REGISTERED}),
    ("rollout.compare_shadow", False): frozenset({_S.SHADOW}),
    ("rollout.start_canary", False): frozenset({_S.REGISTERED, _S.SHADOW}),
    ("rollout.start_canary", True): frozenset({_S.REGISTERED, _S.SHADOW, _S.REJECTED, _S.ROLLED_BACK}),
    ("rollout.raise_share", False): frozenset({_S.CANARY}),
    ("rollout.promote_adapter", False): frozenset({_S.CANARY}),
    ("rollout.promote_adapter", True): frozenset({_S.CANARY, _S.SUPERSEDED}),
    ("rollout.roll_back_adapter", False): frozenset({_S.CANARY}),
    ("rollout.roll_back_adapter", True): frozenset({_S.SHADOW, _S.CANARY, _S.ACTIVE}),
    ("rollout.reject_adapter", False): frozenset({_S.REGISTERED, _S.SHADOW}),
    ("rollout.reject_adapter", True): _NOBODY,
    ("rollout.retire_adapter", False): _NOBODY,
    ("rollout.retire_adapter", True): frozenset(_S) - {_S.RETIRED},
}


def _left(intent: Intent, why: str) -> Done:
    return Done(sentence=f"{intent.kind} {intent.subject} was left: {why}", changed=False)
