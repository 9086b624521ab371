"""Jobs: enqueued once, leased with a growing token, finished only by who still holds the lease."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, false, update
from sqlmodel import Session, col, select

from flywheel.core.errors import ConflictError
from flywheel.core.jobs import Ending, Job, JobState, ProcessMark
from flywheel.store.stores import insert_new
from flywheel.store.tables import JobRow


def enqueue(session: Session, job: Job) -> bool:
    """Enqueue a job; False when a job with this id was there already."""
    row = job.model_dump(exclude={"process"}) | {"state": job.state.value}
    return insert_new(session, JobRow, [row]) == 1


def acquire(session: Session, job_id: str, now: datetime, lease: timedelta) -> int:
    """Take the lease of a job whose lease is free or run out; return the fencing token."""
    row = _row(session, job_id)
    if row.state not in {JobState.QUEUED, JobState.RUNNING}:
        raise ConflictError(f"job {job_id} is {row.state}")
    if row.lease_until is not None and row.lease_until > now:
        raise ConflictError(f"job {job_id} is held until {row.lease_until.isoformat()}")
    row.token += 1
    row.lease_until = now + lease
    session.add(row)
    session.flush()
    return row.token


def take_over(session: Session, job_id: str, now: datetime, lease: timedelta) -> int:
    """Take the lease whoever holds it: for a daemon that just proved to be the only one on this store."""
    row = _row(session, job_id)
    row.lease_until = None
    session.add(row)
    session.flush()
    return acquire(session, job_id, now, lease)


def mark_running(session: Session, job_id: str, token: int, process: ProcessMark) -> None:
    """Record the process that does the work."""
    _fenced(
        session,
        job_id,
        token,
        {
            "state": JobState.RUNNING.value,
            "pid": process.pid,
            "pid_started": process.started,
            "attempts": _row(session, job_id).attempts + 1,
        },
    )


def renew(session: Session, job_id: str, token: int, until: datetime, progress: dict[str, Any]) -> None:
    """Keep the lease and record how far the work is."""
    _fenced(session, job_id, token, {"lease_until": until, "progress": progress})


def finish(session: Session, job_id: str, token: int, error: str = "", ending: Ending | None = None) -> None:
    """End the job, whole or failed; `ending` says why where its room acts upon that."""
    state = JobState.FAILED if error else JobState.FINISHED
    values: dict[str, Any] = {"state": state.value, "error": error, "lease_until": None}
    if ending is not None:
        values["progress"] = {**_row(session, job_id).progress, "ended": ending.value}
    _fenced(session, job_id, token, values)


def ask_end(session: Session, job_id: str, why: str) -> bool:
    """Note that a job is no longer wanted; who follows it ends it. False when it has ended already."""
    row = session.get(JobRow, job_id)
    if row is None or row.state not in {JobState.QUEUED, JobState.RUNNING}:
        return False
    row.spec = {**row.spec, "unwanted": why}
    session.add(row)
    session.flush()
    return True


def pause(session: Session, job_id: str, token: int) -> None:
    """Put a job whose process was ended back into the queue, with all that it has done so far."""
    values = {"state": JobState.QUEUED.value, "lease_until": None, "pid": None, "pid_started": None}
    _fenced(session, job_id, token, values)


def handle(session: Session, job_id: str) -> None:
    """Mark an ended job as seen to by its room."""
    session.connection().execute(update(JobRow).where(col(JobRow.id) == job_id).values(handled=True))


def job_by_id(session: Session, job_id: str) -> Job | None:
    """Return one job."""
    row = session.get(JobRow, job_id)
    return _job(row) if row else None


def open_jobs(session: Session, kind: str | None = None) -> list[Job]:
    """Return the jobs that are queued or running."""
    query = select(JobRow).where(_is_open())
    if kind is not None:
        query = query.where(JobRow.kind == kind)
    return [_job(row) for row in session.exec(query.order_by(col(JobRow.id))).all()]


def unhandled_jobs(session: Session, kind: str) -> list[Job]:
    """Return the jobs of a kind that their room has not seen to: queued, running or ended."""
    # As the partial index says it: the cost is what is unhandled, not every job there ever was.
    query = select(JobRow).where(JobRow.kind == kind, col(JobRow.handled) == false()).order_by(col(JobRow.id))
    return [_job(row) for row in session.exec(query).all()]


def _is_open() -> ColumnElement[bool]:
    return col(JobRow.state).in_([JobState.QUEUED.value, JobState.RUNNING.value])


def _fenced(session: Session, job_id: str, token: int, values: dict[str, Any]) -> None:
    statement = update(JobRow).where(col(JobRow.id) == job_id, col(JobRow.token) == token, _is_open())
    if session.connection().execute(statement.values(**values)).rowcount != 1:
        raise ConflictError(f"the lease of job {job_id} was lost", "another daemon took it over")


def _row(session: Session, job_id: str) -> JobRow:
    row = session.get(JobRow, job_id)
    if row is None:
        raise ConflictError(f"there is no job {job_id}")
    return row


def _job(row: JobRow) -> Job:
    process = ProcessMark(pid=row.pid, started=row.pid_started or 0.0) if row.pid is not None else None
    values = row.model_dump(exclude={"pid", "pid_started"})
    return Job(**values, process=process)
