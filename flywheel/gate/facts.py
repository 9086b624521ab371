"""Takes the gate's readings: suites, held-out rows, candidates, what is loaded, what was spent."""

from collections.abc import Mapping, Sequence

from sqlmodel import Session

from flywheel.core.lines import Gate, Line
from flywheel.core.releases import Release, ReleaseState
from flywheel.core.requests import Request
from flywheel.core.suites import Suite
from flywheel.gate.situations import LineSituation, ServerView, Situation
from flywheel.gate.specs import ATTEMPTS, KIND, job_id
from flywheel.store.jobs import job_by_id, unhandled_jobs
from flywheel.store.ledger import last_event
from flywheel.store.loaded import loaded
from flywheel.store.releases import releases
from flywheel.store.reports import spent_on, unjudged
from flywheel.store.requests import open_requests
from flywheel.store.runs import adapter_by_name
from flywheel.store.suites import live_suite, newest_held_out, waiting_suite


def gather(session: Session, lines: Mapping[str, Line], gates: Mapping[str, Gate], server: ServerView) -> Situation:
    """Return what the gate's next steps depend on, seen at one moment."""
    asked = tuple(open_requests(session, "import", "adopt", "rotate"))
    return Situation(
        lines=tuple(_line(session, line, gates.get(line.gate), asked) for line in lines.values()),
        requests=asked,
        jobs=tuple(unhandled_jobs(session, KIND)),
        warmed=frozenset(entry.name for url in server.urls for entry in loaded(session, url)),
        bases=server.bases,
        originals=server.originals,
    )


def attempts(session: Session, release: Release, suite: Suite) -> int:
    """Return how often measuring this adapter on this suite was begun."""
    numbers = range(1, ATTEMPTS + 1)
    return sum(job_by_id(session, job_id(release.name, suite.hash, number)) is not None for number in numbers)


def active_release(session: Session, line: str, base: str) -> Release | None:
    """Return the adapter that a candidate would replace, if the line has one on its base."""
    active = next((one for one in releases(session, line) if one.state is ReleaseState.ACTIVE), None)
    adapter = adapter_by_name(session, active.name) if active else None
    return active if adapter is None or adapter.manifest.base_name == base else None


def _line(session: Session, line: Line, gate: Gate | None, asked: Sequence[Request]) -> LineSituation:
    suite = live_suite(session, line.name)
    own = tuple(request for request in asked if request.line == line.name)
    held_out = newest_held_out(session, line.name) if suite is None or suite.due or own else None
    imported = waiting_suite(session, line.name)
    if suite is None:
        return LineSituation(line=line, gate=gate, held_out=held_out, waiting=imported, requests=own)
    waiting = unjudged(session, line.name, suite.hash)
    judged, spent = spent_on(session, suite.hash)
    registered = None
    if waiting:
        registered = last_event(session, kinds=["rollout.adapter_registered"], subject=waiting[0].name)
    return LineSituation(
        line=line, gate=gate, suite=suite, held_out=held_out, waiting=imported, requests=own, candidates=tuple(waiting),
        active=active_release(session, line.name, line.base),
        alpha_spent=spent, judged=judged, attempts=attempts(session, waiting[0], suite) if waiting else 0,
        registered=registered.seq if registered else suite.seq if waiting else None,
    )  # fmt: skip
