"""Decides the next step of every release. Pure.

A person's requests come first, then what the gate and the canary say. Where a request has just moved a release, what
was decided about it here no longer fits, and `run` leaves it alone. A request that policy holds stops nothing else.
"""

from datetime import datetime
from typing import Any

from flywheel.core.intents import Intent
from flywheel.core.releases import ReleaseState
from flywheel.core.requests import Request
from flywheel.core.rooms import Plan, Proposal
from flywheel.rollout.answers import Refusal, Step, Wait, answer
from flywheel.rollout.canaries import judge_canary
from flywheel.rollout.facts import LineSituation, Situation, Standing, facts_of


def plan(here: Situation) -> Plan:
    """Return what every line needs now, and what it waits for."""
    strays = Plan(proposals=tuple(_refuse(request, "", _no_line(request)) for request in here.strays))
    return sum((_line(line, here.now) for line in here.lines), strays)


def _line(here: LineSituation, now: datetime) -> Plan:
    entering = [_register(here, newcomer.name, newcomer.seq) for newcomer in here.newcomers]
    asked, waits = _requests(here)
    rejected = [p for standing in here.standings if (p := _reject(here, standing)) is not None]
    own, more = _own(here, now)
    said = "; ".join([*waits, *more])
    return Plan(proposals=(*entering, *asked, *rejected, *own), waits={here.line.name: said} if said else {})


def _requests(here: LineSituation) -> tuple[list[Proposal], list[str]]:
    """Return the steps people asked for, and what their requests wait for."""
    proposals, waits = [], []
    for request in here.requests:
        said = answer(request, here)
        if isinstance(said, Wait):
            waits.append(said.sentence)
        elif isinstance(said, Refusal):
            proposals.append(_refuse(request, here.line.name, said.sentence))
        else:
            proposals.append(_asked(here, request, said))
    return proposals, waits


def _own(here: LineSituation, now: datetime) -> tuple[list[Proposal], list[str]]:
    """Return the step that canary and gate ask for."""
    if here.rollout is None:
        return [], [f"rollout {here.line.rollout!r} is not declared"]
    canary = here.in_state(ReleaseState.CANARY)
    if canary is not None:
        return _canary(here, canary, now)
    return _next_canary(here)


def _canary(here: LineSituation, canary: Standing, now: datetime) -> tuple[list[Proposal], list[str]]:
    if canary.refusal:
        why = f"no model server takes it: {canary.refusal}"
        return [_step(here, canary, "rollout.roll_back_adapter", why, canary.refusal_seq)], []
    assert here.rollout is not None
    verdict = judge_canary(here.results, here.rollout, hours_since(canary.release.canary_since, now))
    waits = [f"canary {canary.name}: {verdict.sentence}"]
    if verdict.choice == "go_on":
        return [], waits
    kind = {"promote": "rollout.promote_adapter", "roll_back": "rollout.roll_back_adapter"}[verdict.choice]
    return [_step(here, canary, kind, verdict.sentence, canary.release.seq)], waits


def _next_canary(here: LineSituation) -> tuple[list[Proposal], list[str]]:
    """Return the canary to start: of those that passed, the one that waits longest."""
    candidates = [s for s in here.standings if s.state is ReleaseState.REGISTERED and not s.refusal]
    waits = [f"{s.name} waits for its gate" for s in candidates if s.verdict == "none"]
    passed = [s for s in candidates if s.passed]
    if not passed:
        return [], waits
    first = passed[0]
    why = f"it passed its gate: {first.verdict_sentence}".rstrip(": ")
    return [_step(here, first, "rollout.start_canary", why, first.verdict_seq)], waits


def _reject(here: LineSituation, standing: Standing) -> Proposal | None:
    """Return the rejection of a candidate that no server takes or that did not pass."""
    if standing.state is not ReleaseState.REGISTERED:
        return None
    if standing.refusal:
        why = f"no model server takes it: {standing.refusal}"
        return _step(here, standing, "rollout.reject_adapter", why, standing.refusal_seq)
    if standing.passed or standing.verdict == "none":
        return None
    why = f"its gate says {standing.verdict}: {standing.verdict_sentence}".rstrip(": ")
    return _step(here, standing, "rollout.reject_adapter", why, standing.verdict_seq)


def hours_since(moment: datetime | None, now: datetime) -> float:
    """Return the hours since a moment; 0 when there was none."""
    return max((now - moment).total_seconds() / 3600, 0.0) if moment else 0.0


def _register(here: LineSituation, name: str, cause: int) -> Proposal:
    intent = Intent(kind="rollout.register_adapter", line=here.line.name, subject=name, why="it was published")
    return Proposal(intent=intent, facts=here.facts, cause=cause)


def _step(here: LineSituation, standing: Standing, kind: str, why: str, cause: int | None) -> Proposal:
    intent = Intent(kind=kind, line=here.line.name, subject=standing.name, why=why)
    return Proposal(intent=intent, facts=facts_of(here, standing), cause=cause)


def _asked(here: LineSituation, request: Request, step: Step) -> Proposal:
    standing = here.standing(request.subject)
    assert standing is not None
    params: dict[str, Any] = {"request": request.id}
    intent = Intent(kind=step.kind, line=here.line.name, subject=request.subject, why=step.why, params=params)
    return Proposal(intent=intent, facts=facts_of(here, standing, request), cause=request.cause)


def _refuse(request: Request, line: str, sentence: str) -> Proposal:
    intent = Intent(
        kind="operator.refuse_request", line=line, subject=request.id, why=sentence, params={"answer": sentence}
    )
    return Proposal(intent=intent, cause=request.cause)


def _no_line(request: Request) -> str:
    return f"{request.subject or request.line!r} belongs to no line that is declared; see `flywheel adapters list`"
