"""The registry: every adapter's place in front of the agent, moved only along the allowed ways."""

from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from flywheel.core.errors import ConflictError
from flywheel.core.frozen import Frozen
from flywheel.core.releases import MOVES, Release, ReleaseState
from flywheel.store.runs import Adapter, adapter_by_name
from flywheel.store.stores import insert_new
from flywheel.store.tables import AdapterRow, LedgerRow, ReleaseRow, ReportRow


class Judged(Frozen):
    """The newest verdict on an adapter, and the event it was announced with."""

    verdict: str
    sentence: str
    seq: int


def unregistered(session: Session, line: str) -> list[Adapter]:
    """Return a line's published adapters that have no release yet, oldest first."""
    known = select(ReleaseRow.name).where(ReleaseRow.line == line)
    query = select(AdapterRow.name).where(AdapterRow.line == line, col(AdapterRow.name).not_in(known))
    names = session.exec(query.order_by(col(AdapterRow.number))).all()
    return [adapter for name in names if (adapter := adapter_by_name(session, name)) is not None]


def register(session: Session, adapter: Adapter, at: datetime, seq: int) -> None:
    """Enter an adapter, inactive; entering it twice changes nothing."""
    row = {"name": adapter.name, "line": adapter.line, "number": adapter.number, "adapter": adapter.hash, "share": 0.0,
           "state": ReleaseState.REGISTERED.value, "overridden": False, "approved": False, "changed_at": at,
           "canary_since": None, "seq": seq}  # fmt: skip
    insert_new(session, ReleaseRow, [row])


def releases(session: Session, line: str | None = None) -> list[Release]:
    """Return the releases, by line and number."""
    query = select(ReleaseRow).order_by(ReleaseRow.line, col(ReleaseRow.number))
    return [_release(row) for row in session.exec(query.where(ReleaseRow.line == line) if line else query).all()]


def release_by_name(session: Session, name: str) -> Release | None:
    """Return one release by its served name."""
    row = session.get(ReleaseRow, name)
    return _release(row) if row else None


def move(session: Session, name: str, to: ReleaseState, at: datetime, seq: int) -> None:
    """Move a release to another state; its share is gone. Only the ways in `MOVES` are open."""
    row = _row(session, name)
    if to not in MOVES[ReleaseState(row.state)]:
        raise ConflictError(f"{name} is {row.state} and cannot become {to.value}")
    _set(session, row, state=to.value, share=0.0, changed_at=at, canary_since=None, seq=seq)


def start_canary(session: Session, name: str, share: float, at: datetime, seq: int) -> None:
    """Move a release to its canary with a share of the traffic."""
    move(session, name, ReleaseState.CANARY, at, seq)
    _set(session, _row(session, name), share=share, canary_since=at)


def start_shadow(session: Session, name: str, share: float, at: datetime, seq: int) -> None:
    """Let a release listen to a share of the traffic."""
    move(session, name, ReleaseState.SHADOW, at, seq)
    _set(session, _row(session, name), share=share)


def raise_share(session: Session, name: str, share: float) -> None:
    """Give a canary a larger share; when it began stays as it is."""
    row = _row(session, name)
    if row.state != ReleaseState.CANARY.value or share <= row.share:
        raise ConflictError(f"{name} is {row.state} at {row.share:g}: no share to raise to {share:g}")
    _set(session, row, share=share)


def mark(session: Session, name: str, *, approved: bool | None = None, overridden: bool | None = None) -> None:
    """Record that a person stands behind a release."""
    given = {"approved": approved, "overridden": overridden}
    _set(session, _row(session, name), **{key: value for key, value in given.items() if value is not None})


def judged(session: Session, release: Release) -> Judged | None:
    """Return the newest verdict on the very adapter of a release."""
    query = select(ReportRow).where(ReportRow.adapter == release.adapter)
    row = session.exec(query.order_by(col(ReportRow.seq).desc())).first()
    return Judged(verdict=row.verdict, sentence=str(row.body.get("sentence", "")), seq=row.seq) if row else None


def ever_promoted(session: Session, line: str) -> int:
    """Count the adapters of a line that were ever active, whatever became of them."""
    query = select(func.count(func.distinct(LedgerRow.subject)))
    return session.exec(query.where(LedgerRow.line == line, LedgerRow.kind == "rollout.adapter_promoted")).one()


def _set(session: Session, row: ReleaseRow, **values: Any) -> None:
    for key, value in values.items():
        setattr(row, key, value)
    session.add(row)
    session.flush()  # at once: the unique indexes on active and canary see the moves in the order they are made


def _row(session: Session, name: str) -> ReleaseRow:
    row = session.get(ReleaseRow, name)
    if row is None:
        raise ConflictError(f"there is no release {name}")
    return row


def _release(row: ReleaseRow) -> Release:
    return Release(**row.model_dump(exclude={"name", "state"}), state=ReleaseState(row.state))
