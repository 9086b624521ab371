"""Begins and ends contests: the request that asked for one is its record, and stays open as long as it runs."""

from datetime import datetime

from sqlmodel import Session

from flywheel.core.contests import Contest
from flywheel.core.events import Event
from flywheel.core.intents import Intent
from flywheel.core.releases import ReleaseState
from flywheel.core.requests import Request
from flywheel.store.contests import running_contest
from flywheel.store.ledger import append
from flywheel.store.releases import releases
from flywheel.store.requests import answer_request, request_by_id, rewrite_request

_BUSY = frozenset({ReleaseState.SHADOW, ReleaseState.CANARY})


def start_contest(session: Session, intent: Intent, cause: int | None, at: datetime) -> str | None:
    """Begin a contest; None when it has begun, was answered, or something else is on trial."""
    request = _open(session, intent)
    if request is None or running_contest(session, request.line) is not None:
        return None
    states = {one.name: one.state for one in releases(session, request.line)}
    contest = Contest.of(request)
    if _BUSY & set(states.values()) or not states.keys() >= set(contest.names):
        return None
    now = tuple(states[name].value for name in contest.names)
    contest = contest.model_copy(update={"since": at, "states": now})
    body = {"first": contest.first, "second": contest.second, "share": contest.share, "hours": contest.hours,
            "why": intent.why, "request": request.id, "by": request.by, "reason": request.reason}  # fmt: skip
    append(session, Event(kind="rollout.contest_started", at=at, line=request.line, subject=contest.first,
                          cause=cause, body=body))  # fmt: skip
    rewrite_request(session, request.id, contest.model_dump(mode="json", exclude={"first"}))
    return f"started the contest of {contest.first} and {contest.second}"


def end_contest(session: Session, intent: Intent, cause: int | None, at: datetime) -> str | None:
    """End a contest with its report; None when that was done."""
    request = _open(session, intent)
    if request is None or "since" not in request.body:
        return None
    report = dict(intent.params["report"])
    body = {"request": request.id, "why": intent.why, "report": report}
    append(session, Event(kind="rollout.contest_ended", at=at, line=request.line, subject=request.subject,
                          cause=cause, body=body))  # fmt: skip
    sentence = f"{report['sentence']} ({intent.why})"
    for key in (request.id, *intent.params["stops"]):
        answer_request(session, key, satisfied=True, answer=sentence)
    return f"ended the contest: {sentence}"


def _open(session: Session, intent: Intent) -> Request | None:
    request = request_by_id(session, str(intent.params["request"]))
    return request if request is not None and request.state == "open" else None
