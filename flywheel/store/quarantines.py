"""Rows that could not be taken: where they stand and why, never what they hold."""

from datetime import datetime

from sqlmodel import Session, col, select

from flywheel.core.frozen import Frozen
from flywheel.store.stores import insert_new
from flywheel.store.tables import QuarantineRow


class Quarantined(Frozen):
    """A row that was refused."""

    source: str
    row: str
    rule: str
    reason: str
    at: datetime


def quarantine(session: Session, entry: Quarantined) -> bool:
    """Record a refused row; False when it was recorded before."""
    return insert_new(session, QuarantineRow, [entry.model_dump()]) == 1


def list_quarantined(session: Session, source: str | None = None, limit: int = 100) -> list[Quarantined]:
    """Return refused rows, newest first."""
    query = select(QuarantineRow).order_by(col(QuarantineRow.seq).desc()).limit(limit)
    if source is not None:
        query = query.where(QuarantineRow.source == source)
    return [Quarantined(**row.model_dump(exclude={"seq"})) for row in session.exec(query).all()]
