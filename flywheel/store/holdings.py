"""What the store says lies beside it in the home: datasets, suites, adapters, reports, folders of long work."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field
from sqlmodel import Session, col, select

from flywheel.core.frozen import Frozen
from flywheel.store.evidence_tables import PurgeRow
from flywheel.store.tables import AdapterRow, DatasetRow, JobRow, ReportRow, SuiteRow

HoldingKind = Literal["dataset", "suite", "adapter", "report", "work"]


class Holding(Frozen):
    """A folder (a report: a file) that a row speaks of; `place` is below the home, or absolute where it was written so.

    `files` are the hashes its files must have, as the row knows them; `open` says that work in it is not seen to yet.
    """

    kind: HoldingKind
    name: str
    line: str
    place: str
    hash: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    open: bool = False


def holdings(session: Session) -> list[Holding]:
    """Return everything that has to be there, whole; what was forgotten, pruned or given up has not."""
    purged = frozenset(session.exec(select(PurgeRow.hash)).all())
    found = [*_datasets(session, purged), *_suites(session, purged), *_adapters(session), *_reports(session, purged)]
    return [*found, *_works(session)]


def _datasets(session: Session, purged: frozenset[str]) -> Iterator[Holding]:
    for row in session.exec(select(DatasetRow).order_by(col(DatasetRow.seq))):
        if row.hash not in purged:
            files = {f"{name}.jsonl": part["sha256"] for name, part in row.body["splits"].items()}
            yield Holding(kind="dataset", name=row.hash, line=row.line, place=f"datasets/{row.hash}", hash=row.hash,
                          files=files)  # fmt: skip


def _suites(session: Session, purged: frozenset[str]) -> Iterator[Holding]:
    for row in session.exec(select(SuiteRow).order_by(col(SuiteRow.seq), col(SuiteRow.hash))):
        if row.hash not in purged:
            yield Holding(kind="suite", name=row.hash, line=row.line, place=f"suites/{row.hash}", hash=row.hash)


def _adapters(session: Session) -> Iterator[Holding]:
    for row in session.exec(select(AdapterRow).order_by(AdapterRow.line, col(AdapterRow.number))):
        if row.pruned_at is None:
            yield Holding(kind="adapter", name=row.name, line=row.line, place=row.path, hash=row.hash,
                          files=row.body.get("files", {}))  # fmt: skip


def _reports(session: Session, purged: frozenset[str]) -> Iterator[Holding]:
    query = select(ReportRow.id, ReportRow.line, ReportRow.suite).order_by(col(ReportRow.seq))
    for name, line, suite in session.exec(query):
        if suite not in purged:
            yield Holding(kind="report", name=name, line=line, place=f"reports/{name}.html")


def _works(session: Session) -> Iterator[Holding]:
    query = select(JobRow.id, JobRow.line, JobRow.folder, JobRow.handled).where(JobRow.folder != "")
    for name, line, folder, handled in session.exec(query.order_by(col(JobRow.id))):
        yield Holding(kind="work", name=name, line=line, place=folder, open=not handled)
