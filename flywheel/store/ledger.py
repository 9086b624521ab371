"""The append-only ledger: what happened, in order, each with its cause."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from flywheel.core.events import Event
from flywheel.store.prefixes import begins
from flywheel.store.tables import LedgerRow


def append(session: Session, event: Event, key: str | None = None) -> int:
    """Append an event and return its number; with a key, the same event is appended only once."""
    if key is not None and (seq := _seq_of_key(session, key)) is not None:
        return seq
    row = LedgerRow(**event.model_dump(exclude={"seq"}), key=key)
    session.add(row)
    session.flush()
    return row.seq or 0


def happened(session: Session, key: str) -> bool:
    """Tell whether the event with this key was appended."""
    return _seq_of_key(session, key) is not None


def event_by_seq(session: Session, seq: int) -> Event | None:
    """Return one event."""
    row = session.get(LedgerRow, seq)
    return _event(row) if row else None


def events_by_seq(session: Session, seqs: Sequence[int]) -> tuple[Event, ...]:
    """Return a few events, newest first."""
    query = select(LedgerRow).where(col(LedgerRow.seq).in_(list(seqs))).order_by(col(LedgerRow.seq).desc())
    return tuple(_event(row) for row in session.exec(query).all())


def events(
    session: Session,
    *,
    line: str | None = None,
    kinds: Sequence[str] = (),
    subject: str | None = None,
    after: int | datetime = 0,
    limit: int = 1000,
) -> list[Event]:
    """Return events in order, after a number or from a moment on; the newest `limit` of those that match."""
    later = col(LedgerRow.at) >= after if isinstance(after, datetime) else col(LedgerRow.seq) > after
    query = select(LedgerRow).where(later).order_by(col(LedgerRow.seq).desc()).limit(limit)
    if line is not None:
        query = query.where(LedgerRow.line == line)
    if kinds:
        query = query.where(col(LedgerRow.kind).in_(kinds))
    if subject is not None:
        query = query.where(LedgerRow.subject == subject)
    return [_event(row) for row in reversed(session.exec(query).all())]


def next_event(session: Session, kinds: Sequence[str], after: int) -> Event | None:
    """Return the first event of these kinds after a number."""
    query = select(LedgerRow).where(col(LedgerRow.kind).in_(kinds), col(LedgerRow.seq) > after)
    row = session.exec(query.order_by(col(LedgerRow.seq)).limit(1)).first()
    return _event(row) if row else None


def last_event(session: Session, **filters: Any) -> Event | None:
    """Return the newest event that matches the filters of `events`."""
    found = events(session, limit=1, **filters)
    return found[0] if found else None


def _seq_of_key(session: Session, key: str) -> int | None:
    return session.exec(select(LedgerRow.seq).where(LedgerRow.key == key)).first()


def _event(row: LedgerRow) -> Event:
    return Event(
        kind=row.kind, at=row.at, line=row.line, subject=row.subject, cause=row.cause, seq=row.seq, body=row.body
    )


def subjects_like(session: Session, name: str) -> list[str]:
    """Return the subjects that are, or begin with, a name."""
    begin = begins(session, col(LedgerRow.subject), name)
    query = select(LedgerRow.subject).distinct().where(begin).order_by(LedgerRow.subject)
    return list(session.exec(query.limit(50)).all())  # in order: the name itself comes before what it only begins
