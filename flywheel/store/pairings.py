"""Preference pairs as they are kept: found by what they were paired by, added, withdrawn, let back in."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, insert, literal_column, or_, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from flywheel.core.frozen import Frozen
from flywheel.core.outcomes import Label
from flywheel.core.pairs import CHAIN, QUESTION, Pair
from flywheel.store.evidence_tables import PairRow
from flywheel.store.outcomes import StoredOutcome, outcomes_by_seq
from flywheel.store.tables import OutcomeRow

_EMPTY: Any = literal_column("''")  # as the partial index says it: a bound value would not be seen to be the same
_NAMES_A_QUERY = 400


class StoredPair(Frozen):
    """A pair and whether it was withdrawn."""

    pair: Pair
    withdrawn: bool


def roots_with_both(session: Session, line: str, seqs: Sequence[int]) -> set[str]:
    """Return the chains and questions of these outcomes that have a positive and a negative answer in the line."""
    found: set[str] = set()
    for chunk in _chunks(seqs):
        for prefix in (CHAIN, QUESTION):
            column = _column(OutcomeRow, prefix)
            both = [_answered(line, prefix, label) for label in (Label.POSITIVE, Label.NEGATIVE)]
            query = select(column).distinct().where(col(OutcomeRow.seq).in_(chunk), column != _EMPTY, *both)
            found.update(prefix + name for name in session.exec(query).all())
    return found


def roots_of(session: Session, line: str, outcomes: Sequence[str]) -> set[str]:
    """Return the chains and questions of the line's pairs that any of these outcomes is part of."""
    found: set[str] = set()
    for chunk in _chunks(outcomes):
        for side in (PairRow.chosen, PairRow.rejected):
            # Not by line as well: SQLite would take the index by line and read all of the line's pairs.
            query = select(PairRow.line, PairRow.root).where(col(side).in_(chunk)).distinct()
            found.update(root for of, root in session.exec(query).all() if of == line)
    return found


def rivals(session: Session, line: str, root: str, limit: int) -> list[StoredOutcome]:
    """Return the first positive and the first negative outcomes of a chain or question, at most so many of each."""
    prefix = CHAIN if root.startswith(CHAIN) else QUESTION
    column = _column(OutcomeRow, prefix)
    seqs: list[int] = []
    for label in (Label.POSITIVE, Label.NEGATIVE):
        same = (column == root.removeprefix(prefix), column != _EMPTY)
        query = select(OutcomeRow.seq).where(OutcomeRow.line == line, *same, OutcomeRow.label == label.value)
        seqs += [seq or 0 for seq in session.exec(query.order_by(col(OutcomeRow.seq)).limit(limit)).all()]
    return outcomes_by_seq(session, seqs)


def pairs_by_root(session: Session, line: str, root: str) -> list[StoredPair]:
    """Return every pair of a chain or question, withdrawn ones too."""
    query = select(PairRow).where(PairRow.line == line, PairRow.root == root).order_by(col(PairRow.seq))
    return [_stored(row) for row in session.exec(query).all()]


def add_pairs(session: Session, pairs: Sequence[Pair]) -> None:
    """Add pairs that are known not to be there."""
    if pairs:
        rows = [{"id": pair.id, "withdrawn": False, **pair.model_dump()} for pair in pairs]
        session.connection().execute(insert(PairRow), rows)


def mark_pairs(session: Session, ids: Sequence[str], *, withdrawn: bool) -> None:
    """Take pairs out of everything that is frozen from now on, or let them back in."""
    for chunk in _chunks(ids):
        statement = update(PairRow).where(col(PairRow.id).in_(chunk)).values(withdrawn=withdrawn)
        session.connection().execute(statement)


def delete_pairs_of(session: Session, outcomes: Sequence[str]) -> dict[str, int]:
    """Delete every pair that any of these outcomes is part of; return how many of each line still taught."""
    gone: Counter[str] = Counter()
    for chunk in _chunks(outcomes):
        touching = or_(col(PairRow.chosen).in_(chunk), col(PairRow.rejected).in_(chunk))
        gone.update(session.exec(select(PairRow.line).where(touching, col(PairRow.withdrawn).is_(False))).all())
        session.connection().execute(delete(PairRow).where(touching))
    return dict(gone)


def _answered(line: str, prefix: str, label: Label) -> ColumnElement[bool]:
    other = aliased(OutcomeRow)
    theirs = _column(other, prefix)
    same = (theirs == _column(OutcomeRow, prefix), theirs != _EMPTY)
    return exists().where(col(other.line) == line, *same, col(other.label) == label.value).correlate(OutcomeRow)


def _column(row: Any, prefix: str) -> Any:
    return row.chain if prefix == CHAIN else row.prompt_key


def _stored(row: PairRow) -> StoredPair:
    return StoredPair(pair=Pair(**row.model_dump(exclude={"seq", "id", "withdrawn"})), withdrawn=row.withdrawn)


def _chunks(names: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (names[start : start + _NAMES_A_QUERY] for start in range(0, len(names), _NAMES_A_QUERY))
