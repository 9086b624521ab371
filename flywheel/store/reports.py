"""Reports: judged measurements, the alpha they spent, and who still waits to be measured."""

from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, or_, select

from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash, short
from flywheel.core.releases import Release, ReleaseState
from flywheel.core.verdicts import Report, Verdict
from flywheel.store.releases import releases
from flywheel.store.stores import insert_new
from flywheel.store.tables import ReportRow


class StoredReport(Frozen):
    """A report with its name and place in the ledger."""

    id: str
    line: str
    at: datetime
    seq: int
    report: Report


def report_id(adapter: str, suite: str) -> str:
    """Return the report's name: an adapter is judged once on a suite."""
    return f"report-{short(content_hash([adapter, suite]))}"


def record_report(session: Session, stored: StoredReport) -> bool:
    """Record a report; False when the adapter was judged on this suite before."""
    report = stored.report
    row = {"id": stored.id, "line": stored.line, "adapter": report.adapter, "suite": report.suite,
           "verdict": report.verdict.value, "alpha_spent": report.alpha_spent, "at": stored.at, "seq": stored.seq,
           "body": report.model_dump(mode="json")}  # fmt: skip
    return insert_new(session, ReportRow, [row]) == 1


def report_by_id(session: Session, name: str) -> StoredReport | None:
    """Return one report."""
    row = session.get(ReportRow, name)
    return _stored(row) if row else None


def reports(session: Session, line: str | None = None, adapter: str | None = None) -> list[StoredReport]:
    """Return the reports, oldest first."""
    query = select(ReportRow).order_by(col(ReportRow.seq))
    if line is not None:
        query = query.where(ReportRow.line == line)
    if adapter is not None:
        query = query.where(ReportRow.adapter == adapter)
    return [_stored(row) for row in session.exec(query).all()]


def newest_report(session: Session, line: str) -> StoredReport | None:
    """Return the last report of a line."""
    return next(iter(last_reports(session, line, 1)), None)


def last_reports(session: Session, line: str, limit: int) -> list[StoredReport]:
    """Return the last reports of a line, newest first."""
    query = select(ReportRow).where(ReportRow.line == line).order_by(col(ReportRow.seq).desc()).limit(limit)
    return [_stored(row) for row in session.exec(query).all()]


def spent_on(session: Session, suite: str) -> tuple[int, float]:
    """Return how many adapters were judged on a suite and how much alpha that cost."""
    query = select(func.count(), func.coalesce(func.sum(ReportRow.alpha_spent), 0.0))
    count, spent = session.exec(query.select_from(ReportRow).where(ReportRow.suite == suite)).one()
    return int(count), float(spent)


def unjudged(session: Session, line: str, suite: str) -> list[Release]:
    """Return the registered releases of a line that nothing was decided about, oldest first.

    A verdict of pass or fail stands whatever suite it was reached on; evidence that was not enough
    on an earlier suite may be enough on this one.
    """
    waiting = [release for release in releases(session, line) if release.state is ReleaseState.REGISTERED]
    return [release for release in waiting if not _decided(session, release.adapter, suite)]


def _decided(session: Session, adapter: str, suite: str) -> bool:
    standing = [Verdict.PASS.value, Verdict.FAIL.value]
    query = select(ReportRow.id).where(
        ReportRow.adapter == adapter, or_(ReportRow.suite == suite, col(ReportRow.verdict).in_(standing))
    )
    return session.exec(query).first() is not None


def _stored(row: ReportRow) -> StoredReport:
    return StoredReport(id=row.id, line=row.line, at=row.at, seq=row.seq, report=Report.model_validate(row.body))
