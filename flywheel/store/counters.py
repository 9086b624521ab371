"""Counters kept up in the transaction that changes what they count, and schedule keys that fire once."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import bindparam, delete
from sqlmodel import Session, col, select

from flywheel.store.stores import insert_into, insert_new
from flywheel.store.tables import CounterRow, CursorRow, ScheduleRow

# Asked for several times in every cycle: put together once.
_CURSOR = select(CursorRow.body).where(CursorRow.source == bindparam("source"))


def add_to_counter(session: Session, scope: str, name: str, amount: int) -> None:
    """Add to a counter, making it when it is not there."""
    made = insert_into(session, CounterRow).values(scope=scope, name=name, value=amount)
    total = col(CounterRow.value) + made.excluded.value
    session.connection().execute(made.on_conflict_do_update(index_elements=["scope", "name"], set_={"value": total}))


def counters(session: Session, scope: str) -> dict[str, int]:
    """Return all counters of a scope."""
    query = select(CounterRow.name, CounterRow.value).where(CounterRow.scope == scope).order_by(col(CounterRow.name))
    return {name: int(value) for name, value in session.exec(query).all()}


def cursor(session: Session, source: str) -> dict[str, object]:
    """Return how far a source was read; empty at the beginning."""
    return dict(session.exec(_CURSOR, params={"source": source}).first() or {})


def move_cursor(session: Session, source: str, body: dict[str, object]) -> None:
    """Record how far a source was read, in the transaction that stores what was read."""
    session.merge(CursorRow(source=source, body=body))
    session.flush()


def keep_cursors(session: Session, prefix: str, names: Collection[str]) -> None:
    """Forget every cursor that begins with a prefix, but these."""
    begins = col(CursorRow.source).startswith(prefix, autoescape=True)
    session.connection().execute(delete(CursorRow).where(begins, col(CursorRow.source).not_in(names)))


def fire_once(session: Session, key: str, at: datetime) -> bool:
    """Tell whether this firing of a schedule is the first with its key."""
    return insert_new(session, ScheduleRow, [{"key": key, "at": at}]) == 1
