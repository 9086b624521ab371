"""What the store knows of a home's leftovers: which datasets nobody cites, which adapters' lives are long over."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import NamedTuple

from sqlmodel import Session, col, select

from flywheel.store.datasets import last_dataset, list_datasets
from flywheel.store.evidence_tables import PurgeRow
from flywheel.store.jobs import open_jobs
from flywheel.store.prunings import Leftover, leftovers
from flywheel.store.releases import release_by_name
from flywheel.store.requests import open_requests
from flywheel.store.suites import newest_held_out
from flywheel.store.tables import AdapterRow, DatasetRow, JobRow, RunRow, SuiteRow


class OldDataset(NamedTuple):
    """A dataset whose files are there, when it was frozen, and who needs it; nobody where that is empty."""

    hash: str
    line: str
    since: datetime
    needed: str


class OldAdapter(NamedTuple):
    """An adapter whose life is over, since when, and why its folder stays all the same."""

    leftover: Leftover
    since: datetime


class OldWork(NamedTuple):
    """A folder of long work; `ended` says that its room has seen to it."""

    id: str
    kind: str
    line: str
    folder: str
    ended: bool


def old_datasets(session: Session) -> Iterator[OldDataset]:
    """Yield every dataset with files."""
    purged = frozenset(session.exec(select(PurgeRow.hash)).all())
    reasons = _cited(session)
    for one in list_datasets(session):
        if one.hash not in purged:
            yield OldDataset(one.hash, one.line, one.created_at, reasons.get(one.hash, ""))


def old_adapters(session: Session, fused: Collection[str]) -> Iterator[OldAdapter]:
    """Yield every adapter whose life is over and whose folder is there."""
    for one in leftovers(session, fused=fused):
        release = release_by_name(session, one.name)
        if release is not None and release.changed_at is not None:
            yield OldAdapter(one, release.changed_at)


def old_works(session: Session) -> list[OldWork]:
    """Return the folders of all long work."""
    query = select(JobRow).where(JobRow.folder != "").order_by(col(JobRow.id))
    return [OldWork(row.id, row.kind, row.line, row.folder, row.handled) for row in session.exec(query)]


def known_folders(session: Session) -> frozenset[str]:
    """Return the hashes of every dataset and suite there ever was."""
    return frozenset(session.exec(select(DatasetRow.hash)).all()) | frozenset(session.exec(select(SuiteRow.hash)).all())


def has_open_imports(session: Session) -> bool:
    """Tell whether a suite that was imported waits to be taken in."""
    return bool(open_requests(session, "import"))


def _cited(session: Session) -> dict[str, str]:
    """Return by hash who needs a dataset; the strongest reason last."""
    reasons: dict[str, str] = {}
    for name, body, pruned in session.exec(select(AdapterRow.name, col(AdapterRow.body), col(AdapterRow.pruned_at))):
        if pruned is None:
            reasons[str(body.get("dataset", ""))] = f"{name} learned from it"
    works = {job.subject for job in open_jobs(session)}
    for run, dataset, finished in session.exec(select(RunRow.id, RunRow.dataset, col(RunRow.finished_at))):
        if finished is None or run in works:
            reasons[dataset] = f"{run} trains on it"
    for line in session.exec(select(DatasetRow.line).distinct()).all():
        last, held_out = last_dataset(session, line), newest_held_out(session, line)
        if held_out is not None:
            reasons[held_out.manifest.hash] = "its held-out rows are for a suite"
        if last is not None:
            reasons[last.hash] = f"it is the last one of {line}"
    return reasons
