"""Decides the next step of every release. Pure.

A person's requests come first, then what the gate and the canary say. Where a request has just moved a release, what
was decided about it here no longer fits, and `run` leaves it alone. A request that policy holds stops nothing else.
"""

from datetime import datetime
from typing import Any

from flywheel.core.contests import Contest
from flywheel.core.facts import Value
from flywheel.core.intents import Intent
from flywheel.core.releases import ReleaseState, approval_words
from flywheel.core.requests import Request
from flywheel.core.rooms import Plan, Proposal
from flywheel.rollout.answers import Refusal, Step, Wait, answer, contest_words, stops
from flywheel.rollout.canaries import CanaryVerdict, earned_share, judge_canary
from flywheel.rollout.contests import ContestReport, glance_at, report_of
from flywheel.rollout.facts import LineSituation, Situation, Standing, contest_facts, facts_of
from flywheel.rollout.shadows import judge_shadow


def plan(here: Situation) -> Plan:
    """Return what every line needs now, and what it waits for."""
    strays = Plan(proposals=tuple(_refuse(request, "", _no_line(request)) for request in here.strays))
    return sum((_line(line, here.now) for line in here.lines), strays)


def _line(here: LineSituation, now: datetime) -> Plan:
    entering = [_register(here, newcomer.name, newcomer.seq) for newcomer in here.newcomers]
    asked, waits = _requests(here, now)
    rejected = [p for standing in here.standings if (p := _reject(here, standing)) is not None]
    own, more = _own(here, now)
    said = "; ".join([*waits, *more])
    return Plan(proposals=(*entering, *asked, *rejected, *own), waits={here.line.name: said} if said else {})


def _requests(here: LineSituation, now: datetime) -> tuple[list[Proposal], list[str]]:
    """Return the steps people asked for, and what their requests wait for."""
    proposals, waits = [], []
    for request in here.requests:
        if request.kind == "compare" and here.contest is not None and request.body.get("since"):
            ended, wait = _contest(here, request, now)
            proposals += ended
            waits.append(wait)
            continue
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
    shadow = here.in_state(ReleaseState.SHADOW)
    if shadow is not None:
        return _shadow(here, shadow, now)
    return _next_canary(here)


def _canary(here: LineSituation, canary: Standing, now: datetime) -> tuple[list[Proposal], list[str]]:
    if canary.refusal:
        why = f"no model server takes it: {canary.refusal}"
        return [_step(here, canary, "rollout.roll_back_adapter", why, canary.refusal_seq)], []
    assert here.rollout is not None
    hours = hours_since(canary.release.canary_since, now)
    verdict = judge_canary(here.results, here.rollout, hours, here.calls)
    waits = [f"canary {canary.name}: {verdict.sentence}"]
    if verdict.choice == "go_on":
        return _raise(here, canary, verdict), waits
    if verdict.choice == "promote" and here.rollout.approval and not canary.release.approved:
        return [], [*waits, approval_words(canary.name)]
    kind = {"promote": "rollout.promote_adapter", "roll_back": "rollout.roll_back_adapter"}[verdict.choice]
    return [_step(here, canary, kind, verdict.sentence, canary.release.seq)], waits


def _raise(here: LineSituation, canary: Standing, verdict: CanaryVerdict) -> list[Proposal]:
    """Return the larger share that a canary has earned, if it has."""
    assert here.rollout is not None
    earned = earned_share(verdict.numbers, here.rollout)
    if earned <= canary.release.share:
        return []
    why = f"good enough for a larger share: {verdict.sentence}"
    return [_step(here, canary, "rollout.raise_share", why, canary.release.seq, share=earned)]


def _shadow(here: LineSituation, shadow: Standing, now: datetime) -> tuple[list[Proposal], list[str]]:
    """Return what follows for an adapter that listens: its verdict, then its canary or its end."""
    if shadow.refusal:
        why = f"no model server takes it: {shadow.refusal}"
        return [_step(here, shadow, "rollout.reject_adapter", why, shadow.refusal_seq)], []
    if shadow.shadow:
        kind = "rollout.start_canary" if shadow.shadow == "pass" else "rollout.reject_adapter"
        why = f"its shadow: {shadow.shadow_sentence}"
        return [_step(here, shadow, kind, why, shadow.shadow_seq)], []
    assert here.rollout is not None
    verdict = judge_shadow(here.likenesses, here.rollout, hours_since(shadow.release.changed_at, now))
    if verdict.choice == "go_on":
        return [], [f"shadow {shadow.name}: {verdict.sentence}"]
    told: dict[str, Any] = {"verdict": verdict.choice, "numbers": verdict.numbers.model_dump()}
    return [_step(here, shadow, "rollout.compare_shadow", verdict.sentence, shadow.release.seq, **told)], []


def _contest(here: LineSituation, request: Request, now: datetime) -> tuple[list[Proposal], str]:
    """Return the end of a contest that runs, if it is time, and what it says so far."""
    contest = here.contest
    assert contest is not None
    seen = contest, here.line.name, here.results, here.calls, hours_since(contest.since, now)
    glance, asked = glance_at(*seen), stops(contest, here)
    end = "a person asked for its end" if asked else _end_of(contest, here, glance)
    if not end:
        return [], f"{contest_words(contest)}: {glance.sentence}"
    report = report_of(*seen)
    told: dict[str, Any] = {"request": request.id, "stops": asked, "report": report.model_dump(mode="json")}
    intent = Intent(kind="rollout.end_contest", line=here.line.name, subject=contest.first, why=end, params=told)
    return [Proposal(intent=intent, facts=here.facts, cause=request.cause)], f"{contest_words(contest)}: {end}"


def _end_of(contest: Contest, here: LineSituation, report: ContestReport) -> str:
    """Return why a contest ends, if it does."""
    both = [standing for name in contest.names if (standing := here.standing(name)) is not None]
    if tuple(standing.state.value for standing in both) != contest.states:
        return "one of the two moved"
    if refused := [standing.name for standing in both if standing.refusal]:
        return f"no model server takes {refused[0]}"
    if report.better:
        return "proven"
    return f"{contest.hours:g} hours are over" if report.hours >= contest.hours else ""


def _next_canary(here: LineSituation) -> tuple[list[Proposal], list[str]]:
    """Return the canary to start, or the shadow before it: of those that passed, the one that waits longest."""
    candidates = [s for s in here.standings if s.state is ReleaseState.REGISTERED and not s.refusal]
    waits = [f"{s.name} waits for its gate" for s in candidates if s.verdict == "none"]
    passed = [s for s in candidates if s.passed]
    if not passed:
        return [], waits
    first = passed[0]
    if here.contest is not None:
        return [], [*waits, f"{first.name} waits for {contest_words(here.contest)}"]
    listens = here.rollout is not None and here.rollout.shadow.calls > 0 and here.line.capture
    kind = "rollout.start_shadow" if listens else "rollout.start_canary"
    why = f"it passed its gate: {first.verdict_sentence}".rstrip(": ")
    return [_step(here, first, kind, why, first.verdict_seq)], waits


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


def _step(here: LineSituation, standing: Standing, kind: str, why: str, cause: int | None, **params: Any) -> Proposal:
    intent = Intent(kind=kind, line=here.line.name, subject=standing.name, why=why, params=params)
    return Proposal(intent=intent, facts=facts_of(here, standing), cause=cause)


def _asked(here: LineSituation, request: Request, step: Step) -> Proposal:
    standing = here.standing(request.subject)
    assert standing is not None
    params: dict[str, Any] = {"request": request.id}
    intent = Intent(kind=step.kind, line=here.line.name, subject=request.subject, why=step.why, params=params)
    return Proposal(intent=intent, facts=_asked_facts(here, standing, request), cause=request.cause)


def _asked_facts(here: LineSituation, standing: Standing, request: Request) -> dict[str, Value]:
    other = here.standing(str(request.body.get("second", ""))) if request.kind == "compare" else None
    return facts_of(here, standing, request) if other is None else contest_facts(here, (standing, other), request)


def _refuse(request: Request, line: str, sentence: str) -> Proposal:
    intent = Intent(
        kind="operator.refuse_request", line=line, subject=request.id, why=sentence, params={"answer": sentence}
    )
    return Proposal(intent=intent, cause=request.cause)


def _no_line(request: Request) -> str:
    return f"{request.subject or request.line!r} belongs to no line that is declared; see `flywheel adapters list`"
