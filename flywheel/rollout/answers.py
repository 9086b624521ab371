"""What a person's request comes to: a step, a refusal with its reason, or waiting. Pure."""

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

_UNPROVEN = frozenset({ReleaseState.REGISTERED, ReleaseState.REJECTED, ReleaseState.ROLLED_BACK})


def answer(request: Request, here: LineSituation) -> Answer:
    """Return what a request comes to, as things stand."""
    standing = here.standing(request.subject)
    if standing is None:
        if any(newcomer.name == request.subject for newcomer in here.newcomers):
            return Wait(sentence=f"{request.subject} is about to be registered")
        return Refusal(sentence=f"there is no adapter {request.subject!r}; see `flywheel adapters list`")
    said = {"approve": _approve, "promote": _promote, "roll_back": _roll_back, "retire": _retire}[request.kind]
    return said(request, standing, here)


def _approve(request: Request, standing: Standing, _here: LineSituation) -> Answer:
    if standing.state in {ReleaseState.REGISTERED, ReleaseState.CANARY}:
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
    if state in _UNPROVEN:
        return _to_canary(request, standing, here)
    if not standing.passed and not request.override:
        return Refusal(
            sentence=f"{name} has no passing verdict ({standing.verdict}); override it with a reason to promote it"
        )
    return Step(kind="rollout.promote_adapter", why=_said(request, "promoted"))


def _to_canary(request: Request, standing: Standing, here: LineSituation) -> Answer:
    proven = standing.passed and standing.state is ReleaseState.REGISTERED
    if not proven and not request.override:
        return Refusal(sentence=_unproven(standing))
    if here.rollout is None:
        return Wait(sentence=f"rollout {here.line.rollout!r} is not declared")
    if (canary := here.in_state(ReleaseState.CANARY)) is not None:
        return Wait(sentence=f"{standing.name} waits for the canary {canary.name} to end")
    return Step(kind="rollout.start_canary", why=_said(request, "sent to its canary"))


def _unproven(standing: Standing) -> str:
    if standing.state is ReleaseState.REGISTERED:
        lacks = f"{standing.name} has no passing verdict ({standing.verdict})"
        return f"{lacks}; wait for its gate, or override it with a reason"
    return f"{standing.name} was {standing.state.value}; override that with a reason to try it again"


def _roll_back(request: Request, standing: Standing, _here: LineSituation) -> Answer:
    if standing.state in {ReleaseState.ACTIVE, ReleaseState.CANARY}:
        return Step(kind="rollout.roll_back_adapter", why=_said(request, "taken back"))
    return Refusal(
        sentence=f"{standing.name} is {standing.state.value}: only an active adapter or a canary is rolled back"
    )


def _retire(request: Request, standing: Standing, _here: LineSituation) -> Answer:
    if standing.state is ReleaseState.RETIRED:
        return Refusal(sentence=f"{standing.name} is retired already")
    return Step(kind="rollout.retire_adapter", why=_said(request, "retired"))


def _said(request: Request, deed: str) -> str:
    return f"{deed} by {request.by or 'a person'}" + (f": {request.reason}" if request.reason else "")
