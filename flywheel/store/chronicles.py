"""What became of a line over time: how its pool grew, who answered when, its runs and reports page by page."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from flywheel.core.frozen import Frozen
from flywheel.core.verdicts import Report
from flywheel.store.counters import counters
from flywheel.store.reports import StoredReport
from flywheel.store.runs import Run
from flywheel.store.tables import AdapterRow, AttributionRow, LedgerRow, ReportRow, RunRow

_ADMITTED = "curate.examples_admitted"
_CHANGES = {"new": 1, "returned": 1, "withdrawn": -1}
#: As many changes of the pool as are looked at, the newest: before them the pool is drawn as it stood then.
MOST_CHANGES = 5000


class Held(Frozen):
    """How many examples a line's pool held from a moment on."""

    at: datetime
    examples: int


class Period(Frozen):
    """From when to when a model answered."""

    first: datetime
    last: datetime


def growth(session: Session, line: str) -> list[Held]:
    """Return how a line's pool grew, oldest first; the last is what it holds now."""
    body: Any = col(LedgerRow.body)
    query: Any = select(LedgerRow.at, *(body[name].as_integer() for name in _CHANGES))
    query = query.where(LedgerRow.line == line, LedgerRow.kind == _ADMITTED).order_by(col(LedgerRow.seq).desc())
    held, found = counters(session, f"line:{line}").get("examples", 0), []
    for at, *amounts in session.exec(query.limit(MOST_CHANGES)).all():
        found.append(Held(at=at, examples=held))
        held -= sum((amount or 0) * sign for amount, sign in zip(amounts, _CHANGES.values(), strict=True))
    return found[::-1]


def periods(session: Session, line: str, names: Iterable[str]) -> dict[str, Period]:
    """Return for each of these models that answered calls of a line, from when to when."""
    found = {}
    for name in names:  # one by one: each is two steps in an index, together they would be a walk through it
        query = select(func.min(AttributionRow.at), func.max(AttributionRow.at))
        here = query.where(AttributionRow.name == name, AttributionRow.line == line)
        first, last = session.exec(here).one()
        if first is not None and last is not None:
            found[name] = Period(first=first, last=last)
    return found


def last_seq(session: Session, kinds: Iterable[str] = ()) -> int:
    """Return the number of the newest event, or of the newest of these kinds; 0 where there is none."""
    wanted = list(kinds)
    if not wanted:
        return session.exec(select(func.max(LedgerRow.seq))).one() or 0
    newest = [session.exec(select(func.max(LedgerRow.seq)).where(LedgerRow.kind == kind)).one() for kind in wanted]
    return max((seq or 0 for seq in newest), default=0)


def runs_before(session: Session, line: str | None, before: int | None, limit: int) -> list[Run]:
    """Return the runs that were started before an event, newest first."""
    query = select(RunRow).order_by(col(RunRow.seq).desc()).limit(limit)
    query = query.where(RunRow.line == line) if line else query
    query = query.where(col(RunRow.seq) < before) if before is not None else query
    return [Run(**row.model_dump()) for row in session.exec(query).all()]


def reports_before(session: Session, line: str | None, before: int | None, limit: int) -> list[StoredReport]:
    """Return the reports that were written before an event, newest first."""
    query = select(ReportRow).order_by(col(ReportRow.seq).desc()).limit(limit)
    query = query.where(ReportRow.line == line) if line else query
    query = query.where(col(ReportRow.seq) < before) if before is not None else query
    return [_stored(row) for row in session.exec(query).all()]


def adapter_names(session: Session, hashes: Iterable[str]) -> dict[str, str]:
    """Return the served names of adapters by their hashes."""
    query = select(AdapterRow.hash, AdapterRow.name).where(col(AdapterRow.hash).in_(set(hashes)))
    return dict(session.exec(query).all())


def _stored(row: ReportRow) -> StoredReport:
    return StoredReport(id=row.id, line=row.line, at=row.at, seq=row.seq, report=Report.model_validate(row.body))
