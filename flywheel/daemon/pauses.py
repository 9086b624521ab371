"""Pausing a line because a person asked: the room that sees to it, and the fact that guardrails read.

A pause is a policy, not a switch in the code: every proposal about a line carries `line.is_paused`, and the guardrail
`paused-line` holds what it names. A policy set in which no guardrail reads the fact would make a pause a lie, so the
request is refused there.
"""

from collections.abc import Callable, Iterator

from sqlmodel import Session

from flywheel.core.attempts import Attempt, Done
from flywheel.core.clocks import Clock
from flywheel.core.events import Event
from flywheel.core.intents import Intent
from flywheel.core.requests import Request
from flywheel.core.rooms import Plan, Proposal, Room
from flywheel.policy.guardrails import PolicySet
from flywheel.store.ledger import append
from flywheel.store.pauses import Pause, keep_pause, lift_pause, paused_lines
from flywheel.store.requests import answer_request, open_requests, request_by_id
from flywheel.store.stores import Store

FACT = "line.is_paused"
_INTENTS = {"pause": "operator.pause_line", "resume": "operator.resume_line"}
_UNGUARDED = (
    "no guardrail reads line.is_paused, so a pause would stop nothing: add policies/guardrails/paused-line.toml"
)


def holds(policies: PolicySet) -> bool:
    """Tell whether a pause stops anything under these policies."""
    return any(FACT in rail.reads and rail.enforced for rail in policies.guardrails)


class PauseRoom:
    """Sees to requests to pause a line or to let it go on. See `core.rooms.Room`."""

    name = "operator"

    def __init__(self, store: Store, clock: Clock, lines: tuple[str, ...], policies: Callable[[], PolicySet]) -> None:
        """Pause these lines in this store, as far as these policies hold a paused line."""
        self._store = store
        self._clock = clock
        self._lines = lines
        self._policies = policies

    async def propose(self) -> Plan:
        """Look for requests; say of each paused line that it is."""
        with self._store.read() as session:
            asked = open_requests(session, "pause", "resume")
            paused = paused_lines(session)
        waits = {line: pause.sentence for line, pause in paused.items() if line in self._lines}
        return Plan(proposals=tuple(self._proposals(asked)), waits=waits)

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Do what the request asks, once."""
        with self._store.write() as session:
            request = request_by_id(session, intent.subject)
            if request is None or request.state != "open":
                return Done(sentence="the request was answered already", changed=False)
            if intent.kind == "operator.refuse_request":
                return self._refuse(session, request, str(intent.params["answer"]), cause)
            deed = self._pause if request.kind == "pause" else self._resume
            answer = deed(session, request, cause)
            answer_request(session, request.id, satisfied=True, answer=answer)
        return Done(sentence=answer)

    def _proposals(self, asked: list[Request]) -> Iterator[Proposal]:
        for request in asked:
            params, kind = {}, _INTENTS[request.kind]
            if why_not := self._why_not(request):
                params, kind = {"answer": why_not}, "operator.refuse_request"
            intent = Intent(kind=kind, line=request.line, subject=request.id, why="a person asked", params=params)
            yield Proposal(intent=intent, cause=request.cause)

    def _why_not(self, request: Request) -> str:
        if request.line not in self._lines:
            return f"{request.line!r} is not a line of the settings"
        return _UNGUARDED if request.kind == "pause" and not holds(self._policies()) else ""

    def _pause(self, session: Session, request: Request, cause: int | None) -> str:
        told = {"by": request.by, "reason": request.reason, "request": request.id}
        seq = self._append(session, "operator.line_paused", request, told, cause)
        pause = Pause(line=request.line, by=request.by, reason=request.reason, at=self._clock.now(), seq=seq)
        keep_pause(session, pause)
        return f"{request.line} is paused: it starts nothing new; what is under way goes on"

    def _resume(self, session: Session, request: Request, cause: int | None) -> str:
        if not lift_pause(session, request.line):
            return f"{request.line} was not paused"
        told = {"by": request.by, "reason": request.reason, "request": request.id}
        self._append(session, "operator.line_resumed", request, told, cause)
        return f"{request.line} goes on"

    def _refuse(self, session: Session, request: Request, answer: str, cause: int | None) -> Attempt:
        told = {"request": request.kind, "subject": request.subject, "answer": answer}
        event = Event(kind="operator.request_refused", at=self._clock.now(), line=request.line, subject=request.id,
                      cause=cause, body=told)  # fmt: skip
        append(session, event, key=f"refused/{request.id}")
        answer_request(session, request.id, satisfied=False, answer=answer)
        return Done(sentence=f"refused a request: {answer}")

    def _append(self, session: Session, kind: str, request: Request, told: dict[str, str], cause: int | None) -> int:
        event = Event(kind=kind, at=self._clock.now(), line=request.line, subject=request.line, cause=cause, body=told)
        return append(session, event, key=f"{request.kind}/{request.id}")


class Pausable:
    """A room whose proposals say whether their line is paused. See `core.rooms.Room`."""

    def __init__(self, room: Room, store: Store) -> None:
        """Wrap a room."""
        self._room = room
        self._store = store

    @property
    def name(self) -> str:
        """Return the room's own name."""
        return self._room.name

    async def propose(self) -> Plan:
        """Return the room's plan, with the fact beside what it proposes for a line."""
        plan = await self._room.propose()
        if not any(proposal.intent.line for proposal in plan.proposals):
            return plan
        with self._store.read() as session:
            paused = paused_lines(session)
        told = tuple(_with_fact(proposal, proposal.intent.line in paused) for proposal in plan.proposals)
        return plan.model_copy(update={"proposals": told})

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Let the room do it."""
        return await self._room.perform(intent, cause)


def _with_fact(proposal: Proposal, paused: bool) -> Proposal:  # noqa: FBT001 - a fact's value
    if not proposal.intent.line:
        return proposal
    return proposal.model_copy(update={"facts": {**proposal.facts, FACT: paused}})
