"""The last judgement on each intent, and how long an intent that failed rests."""

from datetime import datetime

from sqlalchemy import delete
from sqlmodel import Session, col

from flywheel.core.ids import content_hash
from flywheel.store.tables import DecisionRow


def last_decision(session: Session, intent: str) -> tuple[str, int] | None:
    """Return digest and ledger number of the last decision on an intent."""
    row = session.get(DecisionRow, intent)
    return (row.digest, row.seq) if row else None


def remember(session: Session, intent: str, digest: str, seq: int) -> None:
    """Make a decision the last one."""
    row = session.get(DecisionRow, intent) or DecisionRow(intent=intent, digest="", seq=0)
    row.digest, row.seq = digest, seq
    session.add(row)
    session.flush()


def count_attempt(session: Session, intent: str, reason: str) -> tuple[int, bool]:
    """Count a failed attempt; return how many there were before, and whether the reason is a new one."""
    row = session.get(DecisionRow, intent) or DecisionRow(intent=intent, digest="", seq=0)
    before, news = row.attempts, row.failure != content_hash(reason)
    row.attempts, row.failure = before + 1, content_hash(reason)
    session.add(row)
    session.flush()
    return before, news


def rest_until(session: Session, intent: str, until: datetime) -> None:
    """Let an intent rest."""
    row = session.get(DecisionRow, intent)
    if row is not None:
        row.not_before = until
        session.add(row)
        session.flush()


def rests_until(session: Session, intent: str) -> datetime | None:
    """Return how long an intent rests."""
    row = session.get(DecisionRow, intent)
    return row.not_before if row else None


def forget(session: Session, intent: str) -> None:
    """Forget an intent."""
    session.connection().execute(delete(DecisionRow).where(col(DecisionRow.intent) == intent))
