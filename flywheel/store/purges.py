"""Datasets and suites whose files were deleted for somebody's sake: their rows stay, and nobody may use them again."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from flywheel.store.evidence_tables import PurgeRow
from flywheel.store.stores import insert_new
from flywheel.store.suite_tables import SuiteSketchRow
from flywheel.store.tables import JobRow, ReportRow, SuiteRow


class Leavings(NamedTuple):
    """What was made from suites: the folders of their measurements, and the names of their reports."""

    folders: list[str]
    reports: list[str]


def is_purged(session: Session, digest: str) -> bool:
    """Tell whether a dataset's or suite's files were deleted."""
    return session.get(PurgeRow, digest) is not None


def purged_by(session: Session, request: str) -> list[tuple[str, str]]:
    """Return kind and hash of what was purged for a request."""
    query = select(PurgeRow.kind, PurgeRow.hash).where(PurgeRow.request == request).order_by(PurgeRow.hash)
    return list(session.exec(query).all())


def mark_purged(session: Session, datasets: Sequence[str], suites: Sequence[str], at: datetime, request: str) -> None:
    """Record that the files of datasets and suites are gone; a suite without its files examines nobody any more."""
    rows = [{"hash": digest, "kind": "dataset", "at": at, "request": request} for digest in datasets]
    rows += [{"hash": digest, "kind": "suite", "at": at, "request": request} for digest in suites]
    insert_new(session, PurgeRow, rows)
    session.connection().execute(update(SuiteRow).where(col(SuiteRow.hash).in_(suites)).values(live=False))
    session.connection().execute(delete(SuiteSketchRow).where(col(SuiteSketchRow.suite).in_(suites)))


def leavings_of(session: Session, suites: Sequence[str]) -> Leavings:
    """Return what measuring on these suites left: it holds their questions and the answers to them."""
    jobs = session.exec(select(JobRow)).all() if suites else []
    folders = [job.folder for job in jobs if job.spec.get("suite") in suites and job.folder]
    query = select(ReportRow.id).where(col(ReportRow.suite).in_(suites))
    return Leavings(folders=sorted(folders), reports=sorted(session.exec(query).all()) if suites else [])


def unpurged(session: Session, digests: Sequence[str]) -> Iterator[str]:
    """Yield those of these datasets and suites whose files are still there."""
    return (digest for digest in digests if not is_purged(session, digest))
