"""The registry of adapters: what each is, where it stands, what the gate found and what the agent got from it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from flywheel.core.frozen import Frozen
from flywheel.core.releases import Release, ReleaseState
from flywheel.store.attributions import Successes, successes
from flywheel.store.gateway_calls import Served, served
from flywheel.store.loaded import loaded
from flywheel.store.releases import releases
from flywheel.store.runs import Adapter, adapters
from flywheel.store.tables import DatasetExampleRow, ExampleRow, LedgerRow, ReportRow

PROMOTED = "rollout.adapter_promoted"
#: Tags that say what an example is about.
ABOUT = ("domain:", "language:")


class Validation(Frozen):
    """The newest verdict on an adapter's very bytes, with the report it stands in."""

    report: str
    at: datetime
    verdict: str
    sentence: str
    score: float | None = None
    base_score: float | None = None
    gain: float | None = None


class Entry(Frozen):
    """One adapter of the registry.

    `id` is the number of the event it was published with: it counts up over all lines and is never used again.
    `previous` is the version before it in its line, `took_over_from` the one it replaced when it became the active one.
    """

    id: int
    name: str
    line: str
    version: int
    hash: str
    path: str
    pruned_at: datetime | None
    run: str
    dataset: str
    base: str
    base_fingerprint: str
    rank: int
    domains: tuple[str, ...]
    created_at: datetime | None
    previous: str | None
    took_over_from: str | None
    state: str
    active: bool
    share: float
    approved: bool
    overridden: bool
    changed_at: datetime | None
    loaded_on: tuple[str, ...]
    validation: Validation | None
    success: Successes
    served: Served

    @property
    def last_used(self) -> datetime | None:
        """Return when the agent asked it last."""
        return self.served.last_at


def entries(session: Session, line: str | None = None) -> list[Entry]:
    """Return the registry, by line and version."""
    found: dict[str, list[Adapter]] = {}
    for adapter in adapters(session, line):
        found.setdefault(adapter.line, []).append(adapter)
    servers = _servers(session)
    return [entry for name in sorted(found) for entry in _line(session, name, found[name], servers)]


def entry_of(session: Session, line: str, name: str) -> Entry | None:
    """Return one adapter of a line."""
    known = adapters(session, line)
    if all(adapter.name != name for adapter in known):
        return None
    return next(one for one in _line(session, line, known, _servers(session), name) if one.name == name)


def domains_of(session: Session, dataset: str) -> tuple[str, ...]:
    """Return what the examples of a dataset are about, by their tags: `math`, `rust`."""
    tags: Any = col(ExampleRow.body)["tags"].as_string()  # as text: not every database can compare JSON
    query = select(tags).join(DatasetExampleRow, col(DatasetExampleRow.example) == col(ExampleRow.id))
    lists = session.exec(query.where(col(DatasetExampleRow.dataset) == dataset).distinct()).all()
    named = {tag for told in lists for tag in json.loads(told or "[]") if tag.startswith(ABOUT)}
    return tuple(sorted(tag.partition(":")[2] for tag in named))


def _line(
    session: Session, line: str, known: list[Adapter], servers: Mapping[str, tuple[str, ...]], only: str = ""
) -> list[Entry]:
    """Return a line's adapters, or only one of them, each beside the one before it."""
    standing = {release.name: release for release in releases(session, line)}
    ended = successes(session, line)
    taken = _taken_over(session, line)
    made = []
    for before, adapter in zip([None, *known], known, strict=False):
        if only in {"", adapter.name}:
            made.append(
                _entry(session, adapter, standing.get(adapter.name)).model_copy(
                    update={
                        "previous": before.name if before else None,
                        "took_over_from": taken.get(adapter.name),
                        "loaded_on": servers.get(adapter.name, ()),
                        "success": ended.get(adapter.name, Successes()),
                    }
                )
            )
    return made


def _entry(session: Session, adapter: Adapter, release: Release | None) -> Entry:
    manifest = adapter.manifest
    published = session.get(LedgerRow, adapter.seq)
    return Entry(
        id=adapter.seq, name=adapter.name, line=adapter.line, version=adapter.number, hash=adapter.hash,
        path=adapter.path, pruned_at=adapter.pruned_at, run=adapter.run, dataset=manifest.dataset,
        base=manifest.base_name, base_fingerprint=manifest.base_fingerprint, rank=manifest.rank,
        domains=domains_of(session, manifest.dataset), created_at=published.at if published else None,
        previous=None, took_over_from=None, state=release.state.value if release else "published",
        active=release is not None and release.state is ReleaseState.ACTIVE,
        share=release.share if release else 0.0, approved=release is not None and release.approved,
        overridden=release is not None and release.overridden, changed_at=release.changed_at if release else None,
        loaded_on=(), validation=_validation(session, adapter.hash), success=Successes(),
        served=served(session, adapter.line, adapter.name),
    )  # fmt: skip


def _validation(session: Session, digest: str) -> Validation | None:
    query = select(ReportRow).where(ReportRow.adapter == digest).order_by(col(ReportRow.seq).desc())
    row = session.exec(query).first()
    if row is None:
        return None
    numbers = row.body.get("numbers") or {}
    return Validation(
        report=row.id, at=row.at, verdict=row.verdict, sentence=str(row.body.get("sentence", "")),
        score=numbers.get("candidate.score"), base_score=numbers.get("base.score"), gain=numbers.get("gain"),
    )  # fmt: skip


def _taken_over(session: Session, line: str) -> dict[str, str | None]:
    """Return for each adapter of a line that was ever promoted whom it replaced the first time; for the base, none."""
    query = select(LedgerRow).where(LedgerRow.line == line, LedgerRow.kind == PROMOTED)
    found: dict[str, str | None] = {}
    for row in session.exec(query.order_by(col(LedgerRow.seq))).all():
        found.setdefault(row.subject, row.body.get("instead_of"))
    return found


def _servers(session: Session) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for one in loaded(session):
        found.setdefault(one.name, []).append(one.server)
    return {name: tuple(urls) for name, urls in found.items()}
