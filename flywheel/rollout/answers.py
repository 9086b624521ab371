"""What a person's request comes to: a step, a refusal with its reason, or waiting. Pure."""

from flywheel.core.contests import Contest, contest_of
from flywheel.core.frozen import Frozen
from flywheel.core.releases import ReleaseState
from flywheel.core.requests import Request
from flywheel.rollout.facts import LineSituation, Standing


class Step(Frozen):
    """The intent that satisfies the request."""

    kind: str
    why: str


class Refusal(Frozen):
    """Why the request cannot be satisfied, as the person will read it."""

    sentence: str


class Wait(Frozen):
    """What must happen before the request can be satisfied."""

    sentence: str


Answer = Step | Refusal | Wait

_YOUNG = frozenset({ReleaseState.REGISTERED, ReleaseState.SHADOW})
_FALLEN = frozenset({ReleaseState.REJECTED, ReleaseState.ROLLED_BACK})


def answer(request: Request, here: LineSituation) -> Answer:
    """Return what a request comes to, as things stand."""
    standing = here.standing(request.subject)
    if standing is None:
        if any(newcomer.name == request.subject for newcomer in here.newcomers):
            return Wait(sentence=f"{request.subject} is about to be registered")
        return Refusal(sentence=f"there is no adapter {request.subject!r}; see `flywheel adapters list`")
    return _SAID[request.kind](request, standing, here)


def _approve(request: Request, standing: Standing, _here: LineSituation) -> Answer:
    if standing.state in {*_YOUNG, ReleaseState.CANARY}:
        return Step(kind="rollout.approve_adapter", why=_said(request, "approved"))
    return Refusal(
        sentence=f"{standing.name} is {standing.state.value}: only a registered adapter or a canary is approved"
    )


def _promote(request: Request, standing: Standing, here: LineSituation) -> Answer:
    name, state = standing.name, standing.state
    if state in {ReleaseState.ACTIVE, ReleaseState.RETIRED}:
        return Refusal(sentence=f"{name} is {state.value} and cannot be promoted")
    if request.override and not request.reason.strip():
        return Refusal(sentence=f"{name} was not promoted: an override needs a reason")
    if state in _YOUNG | _FALLEN:
        return _to_canary(request, standing, here)
    if not standing.passed and not request.override:
        return Refusal(
            sentence=f"{name} has no passing verdict ({standing.verdict}); override it with a reason to promote it"
        )
    return Step(kind="rollout.promote_adapter", why=_said(request, "promoted"))


def _to_canary(request: Request, standing: Standing, here: LineSituation) -> Answer:
    proven = standing.passed and standing.state in _YOUNG
    if not proven and not request.override:
        return Refusal(sentence=_unproven(standing))
    if here.rollout is None:
        return Wait(sentence=f"rollout {here.line.rollout!r} is not declared")
    for state in (ReleaseState.CANARY, ReleaseState.SHADOW):
        if (busy := here.in_state(state)) is not None and busy.name != standing.name:
            return Wait(sentence=f"{standing.name} waits for the {state.value} {busy.name} to end")
    if here.contest is not None:
        return Wait(sentence=f"{standing.name} waits for {contest_words(here.contest)}")
    return Step(kind="rollout.start_canary", why=_said(request, "sent to its canary"))


def _unproven(standing: Standing) -> str:
    if standing.state in _YOUNG:
        lacks = f"{standing.name} has no passing verdict ({standing.verdict})"
        return f"{lacks}; wait for its gate, or override it with a reason"
    return f"{standing.name} was {standing.state.value}; override that with a reason to try it again"


def _roll_back(request: Request, standing: Standing, _here: LineSituation) -> Answer:
    if standing.state in {ReleaseState.ACTIVE, ReleaseState.CANARY, ReleaseState.SHADOW}:
        return Step(kind="rollout.roll_back_adapter", why=_said(request, "taken back"))
    return Refusal(
        sentence=f"{standing.name} is {standing.state.value}: only an active adapter or a canary is rolled back"
    )


def _compare(request: Request, standing: Standing, here: LineSituation) -> Answer:
    contest = contest_of(request)
    if contest is None:
        return Refusal(sentence="this contest cannot be held: its request cannot be read")
    if (ended := _stopped(contest, request, here)) is not None:
        return ended
    other = here.standing(contest.second)
    if other is None:
        return Refusal(sentence=f"{contest.second!r} is no adapter of line {here.line.name!r}")
    if other.name == standing.name:
        return Refusal(sentence=f"{standing.name} cannot be compared with itself")
    unfit = _unfit(standing, request) or _unfit(other, request)
    return Refusal(sentence=unfit) if unfit else _when_free(request, here)


def stops(contest: Contest, here: LineSituation) -> list[str]:
    """Return the requests that ask for the end of a contest."""
    asked = [(request.id, contest_of(request)) for request in here.requests if request.kind == "compare"]
    return [key for key, one in asked if one is not None and one.stop and one.is_of(contest)]


def _stopped(contest: Contest, request: Request, here: LineSituation) -> Answer | None:
    """Return the answer to a request for an end, and to one that is to end before it began; None for any other."""
    if contest.stop:
        runs = here.contest is not None and here.contest.is_of(contest)
        wait = f"{contest_words(contest)} is about to end"
        return Wait(sentence=wait) if runs else Refusal(sentence=f"{contest_words(contest)} does not run")
    if any(key != request.id for key in stops(contest, here)):
        return Refusal(sentence=f"{contest_words(contest)} was called off before it began")
    return None


def _unfit(standing: Standing, request: Request) -> str:
    """Return why an adapter cannot stand in a contest, if it cannot."""
    if standing.state is ReleaseState.RETIRED:
        return f"{standing.name} is retired: nobody is answered by it again"
    if standing.refusal:
        return f"no model server takes {standing.name}: {standing.refusal}"
    proven = standing.state not in _YOUNG | _FALLEN or (standing.passed and standing.state in _YOUNG)
    overridden = request.override and bool(request.reason.strip())
    return "" if proven or overridden else _unproven(standing)


def _when_free(request: Request, here: LineSituation) -> Answer:
    if not here.line.capture:
        return Refusal(sentence=f"line {here.line.name!r} keeps no calls, so that no outcome could be told apart")
    for state in (ReleaseState.CANARY, ReleaseState.SHADOW):
        if (busy := here.in_state(state)) is not None:
            return Wait(sentence=f"the contest waits for the {state.value} {busy.name} to end")
    if here.contest is not None:
        return Wait(sentence=f"another contest waits for {contest_words(here.contest)}")
    return Step(kind="rollout.start_contest", why=_said(request, "compared"))


def contest_words(contest: Contest) -> str:
    """Return what a contest is called in a sentence."""
    return f"the contest of {contest.first} and {contest.second}"


def _retire(request: Request, standing: Standing, _here: LineSituation) -> Answer:
    if standing.state is ReleaseState.RETIRED:
        return Refusal(sentence=f"{standing.name} is retired already")
    return Step(kind="rollout.retire_adapter", why=_said(request, "retired"))


def _said(request: Request, deed: str) -> str:
    return f"{deed} by {request.by or 'a person'}" + (f": {request.reason}" if request.reason else "")


_SAID = {
    "approve": _approve,
    "promote": _promote,
    "roll_back": _roll_back,
    "retire": _retire,
    "compare": _compare,
}
