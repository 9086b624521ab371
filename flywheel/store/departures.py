"""Outcomes that left a line: curation of that line lets go of what rests on them, and then forgets that they left."""

from collections.abc import Sequence

from sqlalchemy import delete
from sqlmodel import Session, col, select

from flywheel.store.evidence_tables import DepartureRow
from flywheel.store.stores import insert_new

_NAMES_A_QUERY = 500


def note_departure(session: Session, line: str, outcome: str) -> None:
    """Remember that an outcome teaches another line now, or none."""
    insert_new(session, DepartureRow, [{"line": line, "outcome": outcome}])


def has_departed(session: Session, line: str) -> bool:
    """Tell whether any outcome left the line."""
    return session.exec(select(DepartureRow.seq).where(DepartureRow.line == line).limit(1)).first() is not None


def departed(session: Session, line: str, limit: int) -> list[str]:
    """Return the keys of outcomes that left the line, in the order they did."""
    query = select(DepartureRow.outcome).where(DepartureRow.line == line).order_by(col(DepartureRow.seq)).limit(limit)
    return list(session.exec(query).all())


def settle_departures(session: Session, line: str, outcomes: Sequence[str]) -> None:
    """Forget that these left."""
    for start in range(0, len(outcomes), _NAMES_A_QUERY):
        chosen = col(DepartureRow.outcome).in_(outcomes[start : start + _NAMES_A_QUERY])
        session.connection().execute(delete(DepartureRow).where(col(DepartureRow.line) == line, chosen))
