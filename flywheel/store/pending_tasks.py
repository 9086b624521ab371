"""Tasks of a source that had not ended when they were last read: the only ones worth asking about again."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from flywheel.store.batches import MANY, among, insert_rows
from flywheel.store.tables import PendingTaskRow


def keep_pending(session: Session, source: str, tasks: Mapping[str, int]) -> None:
    """Remember unfinished tasks with the row of their first call."""
    known = pending_among(session, source, list(tasks)) if tasks else {}
    rows = [(source, task, row) for task, row in tasks.items() if task not in known]
    insert_rows(session, PendingTaskRow, ("source", "task", "first"), rows)


def settle(session: Session, source: str, tasks: Sequence[str]) -> None:
    """Forget tasks that have ended."""
    for start in range(0, len(tasks), MANY):
        names = among(session, PendingTaskRow.task, tasks[start : start + MANY])
        session.connection().execute(delete(PendingTaskRow).where(col(PendingTaskRow.source) == source, names))


def forget_rows(session: Session, source: str) -> None:
    """Forget where pending tasks begin: the source's row numbers mean something else now."""
    session.connection().execute(update(PendingTaskRow).where(col(PendingTaskRow.source) == source).values(first=0))


def pending_among(session: Session, source: str, tasks: Sequence[str]) -> dict[str, int]:
    """Return which of these are pending."""
    found: dict[str, int] = {}
    for start in range(0, len(tasks), MANY):
        names = among(session, PendingTaskRow.task, tasks[start : start + MANY])
        rows = session.exec(select(PendingTaskRow).where(PendingTaskRow.source == source, names)).all()
        found.update({row.task: row.first for row in rows})
    return found


def newest_pending(session: Session, source: str, limit: int) -> dict[str, int]:
    """Return the pending tasks met last."""
    query = select(PendingTaskRow).where(PendingTaskRow.source == source)
    rows = session.exec(query.order_by(col(PendingTaskRow.seq).desc()).limit(limit)).all()
    return {row.task: row.first for row in rows}


def pending_after(session: Session, source: str, position: int, limit: int) -> tuple[dict[str, int], int]:
    """Return pending tasks from a position on and the next position, 0 at the end."""
    query = select(PendingTaskRow).where(PendingTaskRow.source == source, col(PendingTaskRow.seq) > position)
    rows = session.exec(query.order_by(col(PendingTaskRow.seq)).limit(limit)).all()
    following = rows[-1].seq or 0 if len(rows) == limit else 0
    return {row.task: row.first for row in rows}, following
