"""Notices what does not move: a line that wants the same thing for too long, an adapter that waits for a person.

What is looked at are the denials of each cycle and the long work in the store. The marks are kept in the store, so that
a restart does not begin the waiting anew.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from sqlmodel import Session

from flywheel.core.clocks import Clock
from flywheel.core.events import Event
from flywheel.core.frozen import Frozen
from flywheel.core.jobs import Job, JobState
from flywheel.core.releases import approval_words
from flywheel.daemon.cycles import CycleReport
from flywheel.daemon.denials import Denial
from flywheel.store.counters import cursor, move_cursor
from flywheel.store.jobs import open_jobs
from flywheel.store.ledger import append, happened
from flywheel.store.releases import release_by_name
from flywheel.store.stores import Store

CURSOR = "daemon:standstills"
_ASKED = re.compile(re.escape(approval_words("NAME")).replace("NAME", "(?P<name>\\S+)", 1).replace("NAME", "(?P=name)"))


class Want(Frozen):
    """Something wanted and not had; by its key it is known from one look to the next."""

    key: str
    line: str
    subject: str
    what: str
    why: str


class Mark(Frozen):
    """Since when something is wanted, and whether that was told."""

    since: datetime
    told: bool = False


Marks = Mapping[str, Mark]


def wants_of(denials: Iterable[Denial], jobs: Iterable[Job]) -> dict[str, Want]:
    """Return what is wanted now, by key; what a person paused is not wanted, and work that is under way is had."""
    found = [_denied(one) for one in denials if not one.is_paused]
    found += [_queued(job) for job in jobs if job.state is JobState.QUEUED]
    return {want.key: want for want in found}


def marked(before: Marks, wanted: Iterable[str], now: datetime, *, whole: bool) -> dict[str, Mark]:
    """Return the marks after a look: what is still wanted keeps its moment, what is not is forgotten.

    A look that is not `whole` saw only some of what is wanted: then nothing is forgotten.
    """
    kept = {} if whole else dict(before)
    return {**kept, **{key: before.get(key) or Mark(since=now) for key in wanted}}


def stalled(marks: Marks, wanted: Iterable[str], now: datetime, patience: timedelta) -> list[str]:
    """Return what has been wanted for as long as patience lasts, and was not told yet."""
    return [key for key in wanted if not marks[key].told and now - marks[key].since >= patience]


def asked_for(waits: Mapping[str, Iterable[str]]) -> set[str]:
    """Return the adapters that wait for a person, by what the rollout says of its lines."""
    return {found["name"] for told in waits.values() for wait in told if (found := _ASKED.fullmatch(wait))}


class Standstills:
    """Looks after each cycle, and tells the ledger once of each standstill and of each approval that is wanted."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Keep the marks in this store."""
        self._store = store
        self._clock = clock

    def look(self, report: CycleReport, patience: timedelta) -> bool:
        """Take note of a cycle; tell whether the ledger holds something new."""
        now = self._clock.now()
        with self._store.read() as session:
            before = _known(cursor(session, CURSOR))
            wants = wants_of(report.denied, open_jobs(session))
            news = self._approvals(session, report)
        marks = marked(before, wants, now, whole=not report.broken)
        for key in stalled(marks, wants, now, patience):
            news[f"stalled:{key}:{marks[key].since.isoformat()}"] = _stalled(wants[key], marks[key].since, now)
            marks[key] = marks[key].model_copy(update={"told": True})
        if marks == before and not news:
            return False
        with self._store.write() as session:
            for key, event in news.items():
                append(session, event, key=key)
            move_cursor(session, CURSOR, {key: mark.model_dump(mode="json") for key, mark in marks.items()})
        return bool(news)

    def _approvals(self, session: Session, report: CycleReport) -> dict[str, Event]:
        """Return what is to be told of adapters that wait for a person, by the key that lets it be told once."""
        found: dict[str, Event] = {}
        for name in sorted({one.subject for one in report.denied if one.waits_for_person} | asked_for(report.waits)):
            release = release_by_name(session, name)
            key = f"approval:{name}:{release.seq if release else ''}"
            if release is not None and not release.approved and not happened(session, key):
                body = {"sentence": approval_words(name), "state": release.state.value, "share": release.share}
                found[key] = Event(kind="daemon.approval_wanted", at=self._clock.now(), line=release.line, subject=name,
                                   cause=release.seq, body=body)  # fmt: skip
        return found


def _known(kept: Mapping[str, object]) -> dict[str, Mark]:
    try:
        return {key: Mark.model_validate(mark) for key, mark in kept.items()}
    except ValueError:
        return {}  # of another version: the waiting begins anew


def _denied(one: Denial) -> Want:
    what = one.kind.partition(".")[2].replace("_", " ")
    # A line wants the same thing under another subject when its data grow; what is of no line is known by its subject.
    key = f"{one.line}: {one.kind}" if one.line else f"{one.kind} {one.subject}"
    return Want(key=key, line=one.line, subject=one.subject, what=what, why=one.why)


def _queued(job: Job) -> Want:
    what, why = f"start {job.subject}", "the work waits for its turn"
    return Want(key=f"job {job.id} {job.attempts}", line=job.line, subject=job.subject, what=what, why=why)


def _stalled(want: Want, since: datetime, now: datetime) -> Event:
    hours = (now - since).total_seconds() / 3600
    who = f"line {want.line}" if want.line else "flywheel"
    sentence = f"{who} has wanted to {want.what} for {hours:.0f} hours: {want.why}"
    body = {
        "sentence": sentence,
        "wants": want.what,
        "why": want.why,
        "since": since.isoformat(),
        "hours": round(hours, 1),
    }
    return Event(kind="daemon.line_stalled", at=now, line=want.line, subject=want.subject, body=body)
