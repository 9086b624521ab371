"""The contest that a line is in now: an open request that has begun."""

from sqlmodel import Session

from flywheel.core.contests import Contest, contest_of
from flywheel.store.requests import open_requests


def running_contest(session: Session, line: str) -> Contest | None:
    """Return a line's contest, if one runs."""
    found = (contest_of(request) for request in open_requests(session, "compare") if request.line == line)
    return next((contest for contest in found if contest is not None and contest.since is not None), None)
