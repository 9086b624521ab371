"""Examples that stood in a frozen dataset when the evidence for them fell, and what was made from those datasets."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from flywheel.core.frozen import Frozen
from flywheel.store.datasets import ANSWER_PARTS
from flywheel.store.evidence_tables import SupersessionRow
from flywheel.store.stores import insert_new
from flywheel.store.tables import (
    AdapterRow,
    DatasetExampleRow,
    DatasetRow,
    ExampleRow,
    ReleaseRow,
    RunRow,
    SuiteRow,
)

TAUGHT = ("train", "valid", *ANSWER_PARTS)
_NAMES_A_QUERY = 400


class Fall(Frozen):
    """An example that lost its evidence: the outcome it rested on, what that says now, and why."""

    example: str
    line: str
    outcome: str
    revision: int
    label: str
    reason: str
    at: datetime


class Held(Frozen):
    """A frozen dataset that holds an example, and in which part."""

    hash: str
    number: int
    part: str


class Made(Frozen):
    """An adapter that was trained on a dataset, and its place in front of the agent."""

    name: str
    dataset: str
    state: str


class Superseded(Frozen):
    """A fall that still stands, with everything that rests on it."""

    example: str
    line: str
    outcome: str
    label: str
    reason: str
    at: datetime
    event: int
    datasets: tuple[Held, ...]
    adapters: tuple[Made, ...]
    suites: tuple[str, ...]


def record_falls(session: Session, falls: Sequence[Fall], event: int) -> None:
    """Record falls with the event that told of them; one that was recorded stays as it is."""
    insert_new(session, SupersessionRow, [{**fall.model_dump(), "event": event} for fall in falls])


def held_in(session: Session, examples: Sequence[str]) -> dict[str, tuple[Held, ...]]:
    """Return for each of these examples the frozen datasets that hold it; those in none are left out."""
    found: dict[str, list[Held]] = {}
    for chunk in _chunks(examples):
        query = (
            select(DatasetExampleRow.example, DatasetRow.hash, DatasetRow.number, DatasetExampleRow.part)
            .join(DatasetRow, col(DatasetRow.hash) == col(DatasetExampleRow.dataset))
            .where(col(DatasetExampleRow.example).in_(chunk))
            .order_by(col(DatasetRow.seq))
        )
        for example, digest, number, part in session.exec(query).all():
            found.setdefault(example, []).append(Held(hash=digest, number=number, part=part))
    return {example: tuple(held) for example, held in found.items()}


def made_from(session: Session, datasets: Sequence[str]) -> list[Made]:
    """Return the adapters that were trained on any of these datasets, by line and number."""
    found: dict[str, Made] = {}
    for chunk in _chunks(sorted(set(datasets))):
        query = (
            select(AdapterRow.name, RunRow.dataset, ReleaseRow.state)
            .join(RunRow, col(RunRow.id) == col(AdapterRow.run))
            .join(ReleaseRow, col(ReleaseRow.name) == col(AdapterRow.name), isouter=True)
            .where(col(RunRow.dataset).in_(chunk))
        )
        for name, dataset, state in session.exec(query.order_by(AdapterRow.line, col(AdapterRow.number))).all():
            found[name] = Made(name=name, dataset=dataset, state=state or "published")
    return list(found.values())


def suites_from(session: Session, datasets: Sequence[str]) -> dict[str, str]:
    """Return the suites that were built from these datasets, each with its dataset."""
    found: dict[str, str] = {}
    for chunk in _chunks(sorted(set(datasets))):
        query = select(SuiteRow.hash, SuiteRow.dataset).where(col(SuiteRow.dataset).in_(chunk))
        found |= dict(session.exec(query).all())
    return found


def superseded(session: Session, line: str | None = None, limit: int = 50) -> list[Superseded]:
    """Return the newest falls that still stand, newest first: the example has not come back since."""
    query = select(SupersessionRow).where(*_standing(line)).order_by(col(SupersessionRow.seq).desc())
    newest: dict[str, SupersessionRow] = {}
    for row in session.exec(query.limit(limit)).all():
        newest.setdefault(row.example, row)
    rows = list(newest.values())
    held = held_in(session, [row.example for row in rows])
    datasets = [one.hash for several in held.values() for one in several]
    made, suites = made_from(session, datasets), suites_from(session, datasets)
    return [_superseded(row, held.get(row.example, ()), made, suites) for row in rows]


def superseded_in(session: Session, dataset: str) -> list[str]:
    """Return the examples that taught in a dataset and whose evidence has fallen by now."""
    query: Any = (
        select(DatasetExampleRow.example)
        .join(ExampleRow, col(ExampleRow.id) == col(DatasetExampleRow.example))
        .join(SupersessionRow, col(SupersessionRow.example) == col(DatasetExampleRow.example))
        .where(DatasetExampleRow.dataset == dataset, col(DatasetExampleRow.part).in_(TAUGHT))
        .where(col(ExampleRow.withdrawn).is_(True))
    )
    return sorted(session.exec(query.distinct()).all())


def _standing(line: str | None) -> list[Any]:
    fallen = select(ExampleRow.id).where(
        col(ExampleRow.id) == col(SupersessionRow.example), col(ExampleRow.withdrawn).is_(True)
    )
    return [fallen.exists(), *([SupersessionRow.line == line] if line is not None else [])]


def _superseded(
    row: SupersessionRow, held: tuple[Held, ...], made: Sequence[Made], suites: dict[str, str]
) -> Superseded:
    taught = {one.hash for one in held if one.part in TAUGHT}
    examined = {one.hash for one in held if one.part == "test"}
    return Superseded(
        **row.model_dump(include={"example", "line", "outcome", "label", "reason", "at", "event"}),
        datasets=held,
        adapters=tuple(one for one in made if one.dataset in taught),
        suites=tuple(sorted(suite for suite, dataset in suites.items() if dataset in examined)),
    )


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _NAMES_A_QUERY] for start in range(0, len(names), _NAMES_A_QUERY))
