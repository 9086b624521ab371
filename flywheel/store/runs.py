"""Training runs, pinned bases and published adapters."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from flywheel.core.frozen import Frozen
from flywheel.core.training import AdapterManifest, TrainSpec
from flywheel.store.stores import insert_new
from flywheel.store.tables import AdapterRow, BasePartRow, BaseRow, ReportRow, RunRow


class Run(Frozen):
    """A training run as the store knows it."""

    id: str
    line: str
    dataset: str
    state: str
    started_at: datetime
    finished_at: datetime | None
    spec: dict[str, Any]
    result: dict[str, Any]
    error: str
    seq: int


class Adapter(Frozen):
    """A published adapter as the store knows it."""

    name: str
    line: str
    number: int
    hash: str
    run: str
    path: str
    seq: int
    manifest: AdapterManifest
    pruned_at: datetime | None = None


def pinned_base(session: Session, name: str) -> str | None:
    """Return the fingerprint a base was pinned to, or None when it was never used."""
    row = session.get(BaseRow, name)
    return row.fingerprint if row else None


def pinned_parts(session: Session, name: str) -> dict[str, str]:
    """Return the fingerprints of a pinned base's parts; none for one that was pinned before they were told apart."""
    found = session.exec(select(BasePartRow).where(BasePartRow.base == name)).all()
    return {row.part: row.fingerprint for row in found}


def pin_base(session: Session, name: str, path: str, fingerprint: str, seq: int) -> None:
    """Pin a base for good."""
    insert_new(session, BaseRow, [{"name": name, "path": path, "fingerprint": fingerprint, "seq": seq}])


def pin_parts(session: Session, name: str, parts: Mapping[str, str]) -> None:
    """Pin the parts of a base for good."""
    insert_new(session, BasePartRow, [{"base": name, "part": part, "fingerprint": of} for part, of in parts.items()])


def start_run(session: Session, spec: TrainSpec, at: datetime, seq: int) -> None:
    """Record that a run was started."""
    insert_new(
        session,
        RunRow,
        [
            {
                "id": spec.run_id,
                "line": spec.line,
                "dataset": spec.dataset,
                "state": "running",
                "started_at": at,
                "spec": spec.model_dump(mode="json"),
                "result": {},
                "error": "",
                "seq": seq,
            }
        ],
    )


def end_run(  # what a run ended with
    session: Session, run_id: str, at: datetime, result: dict[str, Any], error: str = "", state: str = ""
) -> None:
    """Record how a run ended: finished, or failed with an error, or as `state` says."""
    row = session.get(RunRow, run_id)
    if row is not None:
        row.state = state or ("failed" if error else "finished")
        row.finished_at, row.result, row.error = at, result, error
        session.add(row)
        session.flush()


def run_by_id(session: Session, run_id: str) -> Run | None:
    """Return one run."""
    row = session.get(RunRow, run_id)
    return _run(row) if row else None


def runs(session: Session, line: str | None = None, limit: int = 100) -> list[Run]:
    """Return the newest runs, newest first."""
    query = select(RunRow).order_by(col(RunRow.started_at).desc()).limit(limit)
    return [_run(row) for row in session.exec(query.where(RunRow.line == line) if line else query).all()]


def run_of_dataset(session: Session, dataset: str) -> Run | None:
    """Return the newest run on a dataset."""
    query = select(RunRow).where(RunRow.dataset == dataset).order_by(col(RunRow.seq).desc())
    row = session.exec(query).first()
    return _run(row) if row else None


def failed_runs_of(session: Session, dataset: str) -> int:
    """Count the runs on a dataset that failed or were cancelled."""
    ended = col(RunRow.state).in_(["failed", "cancelled"])
    query = select(func.count()).select_from(RunRow).where(RunRow.dataset == dataset, ended)
    return session.exec(query).one()


def failures_in_a_row(session: Session, line: str) -> int:
    """Count the runs of a line that failed since one finished."""
    ended = ["finished", "failed"]
    query = (
        select(RunRow.state).where(RunRow.line == line, col(RunRow.state).in_(ended)).order_by(col(RunRow.seq).desc())
    )
    states = list(session.exec(query.limit(100)).all())
    return states.index("finished") if "finished" in states else len(states)


def runs_since(session: Session, line: str, since: datetime) -> int:
    """Count the runs a line started since a moment."""
    query = select(func.count()).select_from(RunRow).where(RunRow.line == line, col(RunRow.started_at) >= since)
    return session.exec(query).one()


def next_number(session: Session, line: str) -> int:
    """Return the number the next adapter of a line gets: never one that was used."""
    return (session.exec(select(func.max(AdapterRow.number)).where(AdapterRow.line == line)).one() or 0) + 1


def record_adapter(session: Session, manifest: AdapterManifest, path: str, seq: int) -> None:
    """Record a published adapter."""
    insert_new(
        session,
        AdapterRow,
        [
            {
                "name": manifest.name,
                "line": manifest.line,
                "number": manifest.number,
                "hash": manifest.hash,
                "run": manifest.run,
                "path": path,
                "seq": seq,
                "body": manifest.model_dump(mode="json"),
            }
        ],
    )


def adapter_by_name(session: Session, name: str) -> Adapter | None:
    """Return an adapter by its served name."""
    row = session.get(AdapterRow, name)
    return _adapter(row) if row else None


def adapter_of_run(session: Session, run_id: str) -> Adapter | None:
    """Return what a run left."""
    row = session.exec(select(AdapterRow).where(AdapterRow.run == run_id)).first()
    return _adapter(row) if row else None


def adapters(session: Session, line: str | None = None) -> list[Adapter]:
    """Return every published adapter, by line and number."""
    query = select(AdapterRow).order_by(AdapterRow.line, col(AdapterRow.number))
    return [_adapter(row) for row in session.exec(query.where(AdapterRow.line == line) if line else query).all()]


def rounds_without_gain(session: Session, line: str) -> int:
    """Count the verdicts since the last pass."""
    query = select(ReportRow.verdict).where(ReportRow.line == line).order_by(col(ReportRow.seq).desc()).limit(20)
    verdicts = list(session.exec(query).all())
    return verdicts.index("pass") if "pass" in verdicts else len(verdicts)


def _run(row: RunRow) -> Run:
    return Run(**row.model_dump())


def _adapter(row: AdapterRow) -> Adapter:
    return Adapter(**row.model_dump(exclude={"body"}), manifest=AdapterManifest.model_validate(row.body))
