"""Answers that are surely bad: which outcomes of a line say so now. Good answers are its examples."""

from collections.abc import Sequence

from sqlalchemy import delete, insert
from sqlmodel import Session, col, select

from flywheel.store.batches import MANY, among
from flywheel.store.evidence_tables import JudgementRow


def judged_among(session: Session, outcomes: Sequence[str]) -> dict[str, str]:
    """Return which of these outcomes are known as bad answers, and of which line."""
    found: dict[str, str] = {}
    for start in range(0, len(outcomes), MANY):
        known = among(session, JudgementRow.outcome, outcomes[start : start + MANY])
        found.update(session.exec(select(JudgementRow.outcome, JudgementRow.line).where(known)).all())
    return found


def add_judgements(session: Session, line: str, outcomes: Sequence[str]) -> None:
    """Add bad answers of a line that are known not to be there."""
    if outcomes:
        rows = [{"outcome": outcome, "line": line} for outcome in outcomes]
        session.connection().execute(insert(JudgementRow), rows)


def drop_judgements(session: Session, outcomes: Sequence[str]) -> None:
    """Let these outcomes say nothing any more."""
    for start in range(0, len(outcomes), MANY):
        known = among(session, JudgementRow.outcome, outcomes[start : start + MANY])
        session.connection().execute(delete(JudgementRow).where(known))


def standing_judgements(session: Session, line: str) -> list[tuple[int, str]]:
    """Return the line's bad answers in the order they came: their numbers and their outcomes."""
    query = select(JudgementRow.seq, JudgementRow.outcome).where(JudgementRow.line == line)
    return [(seq or 0, outcome) for seq, outcome in session.exec(query.order_by(col(JudgementRow.seq))).all()]


def count_judgements(session: Session, line: str, after: int, limit: int) -> int:
    """Return how many bad answers came after one; no more are counted than asked for."""
    query = select(JudgementRow.seq).where(JudgementRow.line == line, col(JudgementRow.seq) > after)
    return len(session.exec(query.order_by(col(JudgementRow.seq)).limit(limit)).all())
