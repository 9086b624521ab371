"""How many there are of everything, by what has few values: what a page of metrics is made of.

Only the ledger grows without end; it is counted from where it was counted last. Everything else is a group of a small
table, or a counter that is kept up.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func
from sqlalchemy import select as columns
from sqlmodel import Session, SQLModel, col, select

from flywheel.store.columns import Utc
from flywheel.store.tables import (
    DatasetRow,
    JobRow,
    LedgerRow,
    LoadedRow,
    ReleaseRow,
    ReportRow,
    RequestRow,
    RoutingRow,
    RunRow,
)


class EventTally(NamedTuple):
    """Events of one kind on one line: how many, and the last of them."""

    line: str
    kind: str
    many: int
    last: datetime
    seq: int


class LastReport(NamedTuple):
    """A line's newest report, in numbers."""

    line: str
    at: datetime
    numbers: dict[str, float]


def event_tallies(session: Session) -> list[EventTally]:
    """Return all events, counted by line and kind."""
    by = col(LedgerRow.line), col(LedgerRow.kind)
    last = func.max(LedgerRow.at, type_=Utc())
    found = session.connection().execute(columns(*by, func.count(), last, func.max(LedgerRow.seq)).group_by(*by)).all()
    return [EventTally(line, kind, many, at, seq or 0) for line, kind, many, at, seq in found]


def new_events(session: Session, after: int) -> Iterator[EventTally]:
    """Yield the events after a number, one by one: grouped, SQLite would read an index of the whole ledger."""
    query = select(LedgerRow.line, LedgerRow.kind, LedgerRow.at, LedgerRow.seq).where(col(LedgerRow.seq) > after)
    for line, kind, at, seq in session.exec(query.order_by(col(LedgerRow.seq))).yield_per(1000):
        yield EventTally(line, kind, 1, at, seq or 0)


def runs_by_state(session: Session) -> list[tuple[str, str, int]]:
    """Return line, state and number of training runs."""
    return _by(session, RunRow, "line", "state")


def verdicts(session: Session) -> list[tuple[str, str, int]]:
    """Return line, verdict and number of reports."""
    return _by(session, ReportRow, "line", "verdict")


def releases_by_state(session: Session) -> list[tuple[str, str, int]]:
    """Return line, state and number of releases."""
    return _by(session, ReleaseRow, "line", "state")


def datasets_by_line(session: Session) -> list[tuple[str, int]]:
    """Return line and number of frozen datasets."""
    query = select(DatasetRow.line, func.count()).group_by(DatasetRow.line)
    return [(line, count) for line, count in session.exec(query).all()]


def loaded_by_server(session: Session) -> list[tuple[str, int]]:
    """Return server and number of adapters it held when it was last looked at."""
    query = select(LoadedRow.server, func.count()).group_by(LoadedRow.server)
    return [(server, count) for server, count in session.exec(query).all()]


def in_front(session: Session) -> list[tuple[str, str, int, float]]:
    """Return line, state, number and share of what answers the agent now."""
    query = select(ReleaseRow.line, ReleaseRow.state, ReleaseRow.number, ReleaseRow.share)
    return list(session.exec(query.where(col(ReleaseRow.state).in_(("active", "canary")))).all())


def newest_reports(session: Session, lines: Sequence[str]) -> list[LastReport]:
    """Return the last report of each line that has one."""
    found = []
    for line in lines:
        newest = select(ReportRow).where(ReportRow.line == line).order_by(col(ReportRow.seq).desc())
        if (row := session.exec(newest.limit(1)).first()) is not None:
            found.append(LastReport(line, row.at, row.body.get("numbers", {})))
    return found


def newest_dataset_sizes(session: Session, lines: Sequence[str]) -> list[tuple[str, int]]:
    """Return for each line that has one how many examples its newest dataset holds."""
    found = []
    for line in lines:
        newest = select(DatasetRow.body).where(DatasetRow.line == line).order_by(col(DatasetRow.number).desc())
        if (body := session.exec(newest.limit(1)).first()) is not None:
            found.append((line, int(body.get("examples", 0))))
    return found


def open_jobs_told(session: Session) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Return line, kind, state and progress of the work that is queued or running."""
    query = select(JobRow.line, JobRow.kind, JobRow.state, JobRow.progress)
    found = session.exec(query.where(col(JobRow.state).in_(("queued", "running")))).all()
    return [(line, kind, state, dict(progress)) for line, kind, state, progress in found]


def open_request_count(session: Session) -> int:
    """Return how many requests wait for an answer."""
    return session.exec(select(func.count()).select_from(RequestRow).where(RequestRow.state == "open")).one()


def last_routing_version(session: Session) -> int:
    """Return the version of the routing that was published last; 0 before the first."""
    return session.exec(select(func.max(RoutingRow.version))).one() or 0


def _by(session: Session, table: type[SQLModel], first: str, second: str) -> list[tuple[str, str, int]]:
    one, other = col(getattr(table, first)), col(getattr(table, second))
    rows = session.exec(select(one, other, func.count()).select_from(table).group_by(one, other)).all()
    return [(str(a), str(b), int(count)) for a, b, count in rows]
