"""What a frozen dataset rests on at the very beginning: how much it holds, and the first outcomes in it."""

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from pydantic import Field
from sqlalchemy import func
from sqlmodel import Session, col, select

from flywheel.core.frozen import Frozen
from flywheel.store.tables import AdapterRow, DatasetExampleRow, ExampleRow, OutcomeRow, RunRow

_SPARE = 50


class Root(Frozen):
    """An outcome that something was learned from, with the signals that its label rests on."""

    outcome: str
    example: str = ""
    source: str
    task: str
    session: str
    at: datetime
    label: str
    confidence: float
    signals: tuple[dict[str, Any], ...] = ()


class Roots(Frozen):
    """A dataset's parts with how many examples each has, and its first outcomes."""

    dataset: str
    parts: dict[str, int] = Field(default_factory=dict)
    first: tuple[Root, ...] = ()


def roots_of(session: Session, dataset: str, limit: int = 3) -> Roots:
    """Return what a dataset rests on; of outcomes that were forgotten nothing is left to tell."""
    parts = select(DatasetExampleRow.part, func.count()).where(DatasetExampleRow.dataset == dataset)
    counted = session.exec(parts.group_by(DatasetExampleRow.part)).all()
    # Names first, bodies after: a dataset may hold as many examples as it likes. Some outcomes may be forgotten.
    query = (
        select(ExampleRow.id, ExampleRow.outcome)
        .join(DatasetExampleRow, col(DatasetExampleRow.example) == col(ExampleRow.id))
        .where(DatasetExampleRow.dataset == dataset, ExampleRow.outcome != "")
        .order_by(col(ExampleRow.seq))
        .limit(limit + _SPARE)
    )
    found = (root_of(session, outcome, example) for example, outcome in session.exec(query).all())
    first = tuple(islice((root for root in found if root is not None), limit))
    return Roots(dataset=dataset, parts={part: int(count) for part, count in sorted(counted)}, first=first)


def root_of(session: Session, outcome: str, example: str = "") -> Root | None:
    """Return one outcome as what something was learned from; None when it was forgotten."""
    row = session.exec(select(OutcomeRow).where(OutcomeRow.key == outcome)).first()
    return _root(row, example) if row else None


def dataset_behind(session: Session, subjects: Sequence[str]) -> str | None:
    """Return the dataset that the first of these adapters or runs learned from."""
    for subject in subjects:
        adapter = session.get(AdapterRow, subject)
        run = session.get(RunRow, adapter.run if adapter else subject)
        if run is not None:
            return run.dataset
    return None


def _root(row: OutcomeRow, example: str) -> Root:
    return Root(outcome=row.key, example=example, source=row.source, task=row.task, session=row.session, at=row.at,
                label=row.label, confidence=row.confidence, signals=tuple(row.body.get("signals", ())))  # fmt: skip
