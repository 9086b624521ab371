"""Outcomes joined to the adapters that produced them, through the gateway's calls for the same task."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from flywheel.core.frozen import Frozen
from flywheel.core.outcomes import Label
from flywheel.store.tables import AttributionRow, OutcomeRow

_COLUMNS: tuple[Any, ...] = (OutcomeRow.source, OutcomeRow.task, OutcomeRow.at, OutcomeRow.seq, OutcomeRow.label)
_ENDED = (Label.POSITIVE.value, Label.NEGATIVE.value)


class Attributed(Frozen):
    """A labelled outcome and the model that answered its task."""

    source: str
    task: str
    at: datetime
    seq: int
    positive: bool
    name: str


def attributed_outcomes(session: Session, line: str, since: datetime) -> list[Attributed]:
    """Return the line's outcomes since a time whose end is known, with who answered, in the order they happened."""
    # Both sides are found by index (`outcomes_line`, then `attributions_task`), and no body is read: the cost is what
    # came since, not what the tables hold. A task of many calls is one row for each model that answered any of them.
    query: Any = (
        select(*(col(column) for column in _COLUMNS), col(AttributionRow.name))
        .join(AttributionRow, col(AttributionRow.task) == col(OutcomeRow.task))
        .where(col(OutcomeRow.line) == line, col(OutcomeRow.at) >= since, col(OutcomeRow.label).in_(_ENDED))
        .where(col(AttributionRow.line) == line, col(OutcomeRow.task) != "")
        .order_by(col(OutcomeRow.at), col(OutcomeRow.seq), col(AttributionRow.name))
        .distinct()
    )
    return [
        Attributed(source=source, task=task, at=at, seq=seq, positive=label == Label.POSITIVE.value, name=name)
        for source, task, at, seq, label, name in session.connection().execute(query).all()
    ]
