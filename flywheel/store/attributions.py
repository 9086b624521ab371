"""Outcomes joined to the adapters that produced them, through the gateway's calls for the same task."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
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


class Successes(Frozen):
    """How the tasks ended that one model alone answered."""

    tasks: int = 0
    successes: int = 0


def successes(session: Session, line: str) -> dict[str, Successes]:
    """Return for every model that answered a line's tasks how those ended, by the rule by which canaries are judged.

    Each task counts once, by its last label, and only where it is positive or negative; a task that several models
    answered says nothing about any of them.
    """
    last = _last_labels(line)
    # Each task finds its calls by index (`attributions_task`): a join of two derived tables would have none.
    first, final = (_answerer(edge, line, last.c.task) for edge in (func.min, func.max))
    ended: Any = select(first.label("name"), final.label("other"), last.c.label).where(last.c.age == 1).subquery()
    query: Any = select(ended.c.name, ended.c.label, func.count()).where(ended.c.name == ended.c.other)
    query = query.group_by(ended.c.name, ended.c.label)
    found: dict[str, Successes] = {}
    for name, label, count in session.connection().execute(query).all():
        before = found.get(name, Successes())
        good = count if label == Label.POSITIVE.value else 0
        found[name] = Successes(tasks=before.tasks + count, successes=before.successes + good)
    return found


def _answerer(edge: Any, line: str, task: Any) -> Any:
    """Return, as an expression, the first or the last by name of the models that answered a task on a line."""
    query: Any = select(edge(col(AttributionRow.name))).where(col(AttributionRow.task) == task)
    return query.where(col(AttributionRow.line) == line).scalar_subquery()


def _last_labels(line: str) -> Any:
    """Return, as a subquery, the labels of a line's tasks whose end is known; the last of each task has age 1."""
    newest = (col(OutcomeRow.at).desc(), col(OutcomeRow.seq).desc())
    age = func.row_number().over(partition_by=(col(OutcomeRow.source), col(OutcomeRow.task)), order_by=newest)
    query: Any = select(col(OutcomeRow.task).label("task"), col(OutcomeRow.label).label("label"), age.label("age"))
    where = (col(OutcomeRow.line) == line, col(OutcomeRow.task) != "", col(OutcomeRow.label).in_(_ENDED))
    return query.where(*where).subquery()
