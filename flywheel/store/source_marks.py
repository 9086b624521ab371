"""Marks: how each record of a source looked when it was last read, moved in the transaction that stores the reading."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import delete, insert, update
from sqlmodel import Session, col, select

from flywheel.store.mark_tables import SourceMarkRow

_NAMES_A_QUERY = 500


class Mark(NamedTuple):
    """How a record looked, and the task it was read as a part of; an empty `text` means: read it again."""

    root: str
    text: str


def marks(session: Session, source: str) -> dict[str, Mark]:
    """Return every mark of a source."""
    query = select(SourceMarkRow.record, SourceMarkRow.root, SourceMarkRow.mark).where(SourceMarkRow.source == source)
    return {record: Mark(root=root, text=text) for record, root, text in session.exec(query).all()}


def set_marks(session: Session, source: str, found: Mapping[str, Mark | None]) -> None:
    """Replace these marks; None forgets one."""
    names = list(found)
    for start in range(0, len(names), _NAMES_A_QUERY):
        chosen = col(SourceMarkRow.record).in_(names[start : start + _NAMES_A_QUERY])
        session.connection().execute(delete(SourceMarkRow).where(col(SourceMarkRow.source) == source, chosen))
    rows = [{"source": source, "record": record, "root": mark.root, "mark": mark.text}
            for record, mark in found.items() if mark is not None]  # fmt: skip
    if rows:
        session.connection().execute(insert(SourceMarkRow), rows)


def spoil_marks(session: Session, source: str) -> None:
    """Have every record of a source read again; which they are stays known."""
    session.connection().execute(update(SourceMarkRow).where(col(SourceMarkRow.source) == source).values(mark=""))
