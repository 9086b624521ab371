"""Takes rollout's readings: the impure half of `facts`."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime

from sqlmodel import Session

from flywheel.core.clocks import Clock
from flywheel.core.contests import Contest, contest_of
from flywheel.core.facts import Value, check_facts
from flywheel.core.ids import split_served_name
from flywheel.core.lines import Line, RolloutPlan
from flywheel.core.releases import Release, ReleaseState, in_state
from flywheel.core.requests import Request
from flywheel.rollout.canaries import Result
from flywheel.rollout.facts import LineSituation, Newcomer, Situation, Standing
from flywheel.rollout.guards import TaskCalls
from flywheel.rollout.listeners import Listener, Pairs, no_pairs
from flywheel.store import releases as rows
from flywheel.store.arm_calls import arm_calls
from flywheel.store.attributions import Attributed, attributed_outcomes
from flywheel.store.contests import running_contest
from flywheel.store.ledger import last_event
from flywheel.store.loaded import last_routing
from flywheel.store.requests import open_requests
from flywheel.store.stores import Store

Lines = Callable[[], Mapping[str, Line]]
Rollouts = Callable[[], Mapping[str, RolloutPlan]]

_UNDECIDED = frozenset({ReleaseState.REGISTERED, ReleaseState.SHADOW, ReleaseState.CANARY})


class Readings:
    """Reads the store and the clock into a `Situation`."""

    def __init__(self, store: Store, clock: Clock, lines: Lines, rollouts: Rollouts, pairs: Pairs = no_pairs) -> None:
        """Read these lines under these rollouts; what shadows say comes as pairs."""
        self._store = store
        self._clock = clock
        self._lines = lines
        self._rollouts = rollouts
        self._listener = Listener(pairs)

    def situation(self) -> Situation:
        """Return how things stand now."""
        lines = self._lines()
        with self._store.read() as session:
            asked = open_requests(session, "approve", "promote", "roll_back", "retire", "compare")
            found = tuple(self._line(session, line, asked) for line in lines.values())
        strays = tuple(request for request in asked if line_of(request) not in lines)
        return Situation(now=self._clock.now(), lines=found, strays=strays)

    def line(self, session: Session, name: str) -> LineSituation | None:
        """Return how one line stands, in the moment that a session sees."""
        line = self._lines().get(name)
        return self._line(session, line, []) if line else None

    def has_shadow_verdict(self, session: Session, release: Release) -> bool:
        """Tell whether it is on record what a release's shadow came to."""
        return bool(standing(session, release).shadow)

    def _line(self, session: Session, line: Line, asked: list[Request]) -> LineSituation:
        requests = tuple(request for request in asked if line_of(request) == line.name)
        contests = [contest for request in requests if (contest := contest_of(request)) is not None]
        subjects = {request.subject for request in requests} | {contest.second for contest in contests}
        releases = rows.releases(session, line.name)
        contest = running_contest(session, line.name)
        rollout = self._rollouts().get(line.rollout)
        newcomers = rows.unregistered(session, line.name)
        return LineSituation(
            line=line,
            rollout=rollout,
            newcomers=tuple(Newcomer(name=adapter.name, seq=adapter.seq) for adapter in newcomers),
            standings=tuple(
                standing(session, release) if release.state in _UNDECIDED or release.name in subjects
                else Standing(release=release) for release in releases
            ),
            results=contest_results(session, line.name, contest) if contest else canary_results(session, releases),
            calls=contest_calls(session, line.name, contest) if contest else canary_calls(session, releases),
            likenesses=self._listener.hear(
                in_state(releases, ReleaseState.SHADOW), line.name, rollout.shadow.calls if rollout else 0
            ),
            contest=contest,
            requests=requests,
            facts=self._facts(session, line),
        )  # fmt: skip

    def _facts(self, session: Session, line: Line) -> dict[str, Value]:
        others = [other.rung for other in self._lines().values() if not other.planning]
        facts: dict[str, Value] = {
            "line.is_planning": line.planning,
            "line.rung": line.rung,
            "line.promotions": rows.ever_promoted(session, line.name),
            "ladder.lowest_other_rung": min(others) if others else None,
        }
        check_facts(facts)
        return facts


def line_of(request: Request) -> str:
    """Return the line a request is about: the one it names, else the one of its adapter."""
    split = split_served_name(request.subject)
    return request.line or (split[0] if split else "")


def standing(session: Session, release: Release) -> Standing:
    """Return a release with the newest verdict on it and with what was refused since it last moved."""
    judged = rows.judged(session, release)
    refusal = last_event(session, kinds=["serve.adapter_refused"], subject=release.name, after=release.seq or 0)
    heard = last_event(session, kinds=["rollout.shadow_compared"], subject=release.name, after=release.seq or 0)
    return Standing(
        release=release,
        verdict=judged.verdict if judged else "none",
        verdict_sentence=judged.sentence if judged else "",
        verdict_seq=judged.seq if judged else None,
        refusal=str(refusal.body.get("reason", "refused")) if refusal else "",
        refusal_seq=refusal.seq if refusal else None,
        shadow=str(heard.body.get("verdict", "")) if heard else "",
        shadow_sentence=str(heard.body.get("why", "")) if heard else "",
        shadow_seq=heard.seq if heard else None,
    )


def canary_results(session: Session, releases: list[Release]) -> tuple[Result, ...]:
    """Return what became of the tasks since a line's canary began, in the order in which they ended."""
    canary = in_state(releases, ReleaseState.CANARY)
    if canary is None or canary.canary_since is None:
        return ()
    active = in_state(releases, ReleaseState.ACTIVE)
    found = attributed_outcomes(session, canary.line, canary.canary_since)
    return results_of(found, canary.name, active.name if active else None)


def canary_calls(session: Session, releases: list[Release]) -> tuple[TaskCalls, ...]:
    """Return what the calls of both arms cost since a line's canary began, in the order in which the tasks did."""
    canary = in_state(releases, ReleaseState.CANARY)
    if canary is None or canary.canary_since is None:
        return ()
    active, published = in_state(releases, ReleaseState.ACTIVE), last_routing(session)
    control = active.name if active else published.routing.base_model if published else ""
    return calls_between(session, canary.line, (control, canary.name), canary.canary_since)


def contest_results(session: Session, line: str, contest: Contest) -> tuple[Result, ...]:
    """Return what became of the tasks since a contest began; the second adapter stands where a canary would."""
    assert contest.since is not None
    return results_of(attributed_outcomes(session, line, contest.since), contest.second, contest.first)


def contest_calls(session: Session, line: str, contest: Contest) -> tuple[TaskCalls, ...]:
    """Return what the calls of both adapters cost since a contest began."""
    assert contest.since is not None
    return calls_between(session, line, contest.names, contest.since)


def calls_between(session: Session, line: str, arms: tuple[str, str], since: datetime) -> tuple[TaskCalls, ...]:
    """Return what calls cost by task, for tasks that one arm alone answered; the second arm is the canary."""
    found = arm_calls(session, line, arms, since)
    answered = Counter(one.task for one in found)
    return tuple(
        TaskCalls(canary=one.name == arms[1], calls=one.calls, failed=one.failed, latency_ms=one.latency_ms)
        for one in found if answered[one.task] == 1
    )  # fmt: skip


def results_of(found: list[Attributed], canary: str, active: str | None) -> tuple[Result, ...]:
    """Return one result a task: its last label, for the one arm that answered it.

    A task that both arms answered says nothing about either; neither does one answered by a model that is neither
    canary nor control (the base standing in while an adapter was away).
    """
    tasks: dict[tuple[str, str], list[Attributed]] = {}
    for one in found:
        tasks.setdefault((one.source, one.task), []).append(one)
    ended: list[tuple[datetime, int, Result]] = []
    for outcomes in tasks.values():
        names = {one.name for one in outcomes}
        last = outcomes[-1]
        if names == {canary} or (len(names) == 1 and canary not in names and _is_control(last.name, active)):
            ended.append((last.at, last.seq, Result(canary=last.name == canary, success=last.positive)))
    return tuple(result for _, _, result in sorted(ended, key=lambda one: one[:2]))


def _is_control(name: str, active: str | None) -> bool:
    """Tell whether a model is the control: the active adapter, or without one the base, which bears no number."""
    return name == active if active is not None else split_served_name(name) is None
