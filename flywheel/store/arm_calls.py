"""What the calls of each task cost, by the model that answered them: how many, how many failed, how long they took."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select
from sqlmodel import Session, col

from flywheel.core.frozen import Frozen
from flywheel.store.tables import AttributionRow

_FAILED = 500  # what a client did wrong, or took back, says nothing about the model
_OK = 200


class ArmCalls(Frozen):
    """The calls of one task that one model answered."""

    task: str
    name: str
    calls: int
    failed: int
    latency_ms: float | None


def arm_calls(session: Session, line: str, names: Sequence[str], since: datetime) -> list[ArmCalls]:
    """Return what the calls of a line to these models cost since a time, by task, in the order the tasks began."""
    row = AttributionRow
    failed = func.sum(case((col(row.status) >= _FAILED, 1), else_=0))
    latency = func.avg(case((col(row.status) == _OK, col(row.latency_ms)), else_=None))
    query: Any = (
        select(col(row.task), col(row.name), func.count(), failed, latency)
        .where(col(row.name).in_(list(names)), col(row.at) >= since, col(row.line) == line)
        .where(col(row.task) != "", col(row.status).is_not(None))
        .group_by(col(row.task), col(row.name))
        .order_by(func.min(col(row.at)), col(row.task))
    )
    return [
        ArmCalls(task=task, name=name, calls=int(calls), failed=int(lost), latency_ms=mean)
        for task, name, calls, lost, mean in session.connection().execute(query).all()
    ]
