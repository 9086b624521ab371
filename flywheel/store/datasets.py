"""Frozen datasets: their manifests, and which example stands in which part of which."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import false, insert
from sqlmodel import Session, col, select

from flywheel.core.examples import DatasetManifest
from flywheel.store.counters import cursor, move_cursor
from flywheel.store.evidence_tables import PurgeRow
from flywheel.store.stores import insert_new
from flywheel.store.tables import DatasetExampleRow, DatasetRow, ExampleRow, JobRow, RunRow, SuitePromptRow

#: Parts whose members are outcomes: answers that were judged, and both sides of pairs.
ANSWER_PARTS = ("judged", "judged_valid", "paired")
_LESSONS = "curate/lessons/"


def record_dataset(session: Session, manifest: DatasetManifest, watermark: int, seq: int) -> bool:
    """Record a dataset; False when it was recorded before."""
    row = {"hash": manifest.hash, "line": manifest.line, "number": manifest.number, "watermark": watermark, "seq": seq,
           "body": manifest.model_dump(mode="json")}  # fmt: skip
    return insert_new(session, DatasetRow, [row]) == 1


def record_members(session: Session, dataset: str, parts: Mapping[str, Sequence[str]]) -> None:
    """Record which examples stand in which part."""
    rows = [{"dataset": dataset, "example": example, "part": part} for part, ids in parts.items() for example in ids]
    if rows:
        session.connection().execute(insert(DatasetExampleRow), rows)


def dataset_by_hash(session: Session, digest: str) -> DatasetManifest | None:
    """Return one dataset; its files lie in the datasets' folder under its hash."""
    row = session.get(DatasetRow, digest)
    return DatasetManifest.model_validate(row.body) if row else None


def dataset_seq(session: Session, digest: str) -> int | None:
    """Return the number of the event that told of a dataset; its body holds what guardrails judge it by."""
    row = session.get(DatasetRow, digest)
    return row.seq if row else None


def last_dataset(session: Session, line: str) -> DatasetManifest | None:
    """Return the newest dataset of a line."""
    row = _last(session, line)
    return DatasetManifest.model_validate(row.body) if row else None


def last_watermark(session: Session, line: str) -> int:
    """Return the last example that the newest dataset of a line could have held."""
    row = _last(session, line)
    return row.watermark if row else 0


def list_datasets(session: Session, line: str | None = None) -> list[DatasetManifest]:
    """Return datasets, oldest first."""
    query = select(DatasetRow).order_by(col(DatasetRow.seq))
    rows = session.exec(query.where(DatasetRow.line == line) if line else query).all()
    return [DatasetManifest.model_validate(row.body) for row in rows]


def members(session: Session, dataset: str, part: str) -> list[str]:
    """Return the examples of one part of a dataset."""
    query = select(DatasetExampleRow.example).where(
        DatasetExampleRow.dataset == dataset, DatasetExampleRow.part == part
    )
    return list(session.exec(query.order_by(col(DatasetExampleRow.example))).all())


def ever_held(session: Session, line: str) -> frozenset[str]:
    """Return every example that any dataset of the line holds."""
    query = select(DatasetExampleRow.example).join(DatasetRow, col(DatasetRow.hash) == col(DatasetExampleRow.dataset))
    return frozenset(session.exec(query.where(DatasetRow.line == line).distinct()).all())


def datasets_with(session: Session, example: str) -> list[str]:
    """Return the datasets that hold an example."""
    query = select(DatasetExampleRow.dataset).where(DatasetExampleRow.example == example)
    return sorted(session.exec(query).all())


def examined_questions(session: Session) -> frozenset[str]:
    """Return every question that stands in any suite of any line: none of them may teach."""
    return frozenset(session.exec(select(SuitePromptRow.prompt_key).distinct()).all())


def lessons_until(session: Session, line: str, kind: str) -> int:
    """Return the last pair, or the last bad answer, that a dataset of the line could have held."""
    return int(str(cursor(session, f"{_LESSONS}{line}").get(kind, 0)))


def record_lessons(session: Session, line: str, kind: str, until: int) -> None:
    """Record the last pair, or the last bad answer, that the dataset being recorded could have held."""
    name = f"{_LESSONS}{line}"
    move_cursor(session, name, {**cursor(session, name), kind: until})


def held_out_places(session: Session, line: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the tasks and the sessions of everything a dataset of the line held out: a suite examines on them."""
    body: Any = col(ExampleRow.body)
    query: Any = (
        select(body["task"].as_string(), body["session"].as_string())
        .join(DatasetExampleRow, col(DatasetExampleRow.example) == col(ExampleRow.id))
        .where(ExampleRow.line == line, DatasetExampleRow.part == "test")
    )
    found = session.execute(query.distinct()).all()
    return frozenset(task for task, _ in found if task), frozenset(name for _, name in found if name)


def answers_held_elsewhere(session: Session, line: str) -> list[str]:
    """Return the outcomes whose words stand in pairs or judgements of other lines' datasets."""
    query = (
        select(DatasetExampleRow.example)
        .join(DatasetRow, col(DatasetRow.hash) == col(DatasetExampleRow.dataset))
        .where(DatasetRow.line != line, col(DatasetExampleRow.part).in_(ANSWER_PARTS))
    )
    return sorted(session.exec(query.distinct()).all())


def was_trained(session: Session, dataset: str) -> bool:
    """Tell whether a run on the dataset has ended, well or not, or none can begin: its files were deleted."""
    if session.get(PurgeRow, dataset) is not None:
        return True
    query = select(RunRow.id).where(RunRow.dataset == dataset, col(RunRow.finished_at).is_not(None))
    return session.exec(query.limit(1)).first() is not None


def has_unhandled_work(session: Session, line: str) -> bool:
    """Tell whether long work of the line is queued, running, or ended without its room having seen to it."""
    query = select(JobRow.id).where(col(JobRow.handled) == false(), JobRow.line == line)
    return session.exec(query.limit(1)).first() is not None


def _last(session: Session, line: str) -> DatasetRow | None:
    query = select(DatasetRow).where(DatasetRow.line == line).order_by(col(DatasetRow.number).desc()).limit(1)
    return session.exec(query).first()
