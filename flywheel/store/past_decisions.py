"""Every decision that policy ever made, in the order it made them, a page at a time."""

from collections.abc import Iterator
from datetime import datetime

from sqlmodel import Session, col, select

from flywheel.core.events import Event
from flywheel.store.stores import Store
from flywheel.store.tables import LedgerRow

KINDS = ("policy.intent_allowed", "policy.intent_held", "policy.intent_refused")
_PAGE = 500


def past_decisions(store: Store, since: datetime | None = None, line: str | None = None) -> Iterator[Event]:
    """Yield decisions, oldest first; between two pages the store is let go, however long the reader takes."""
    after = 0
    while True:
        with store.read() as session:
            page = _page(session, after, since, line)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].seq or after


def _page(session: Session, after: int, since: datetime | None, line: str | None) -> list[Event]:
    query = select(LedgerRow).where(col(LedgerRow.kind).in_(KINDS), col(LedgerRow.seq) > after)
    if since is not None:
        query = query.where(col(LedgerRow.at) >= since)
    if line is not None:
        query = query.where(LedgerRow.line == line)
    rows = session.exec(query.order_by(col(LedgerRow.seq)).limit(_PAGE)).all()
    return [Event(**row.model_dump(exclude={"key"})) for row in rows]
