"""What a name means, and the story behind it: from an effect back to its causes, and on to what it led to."""

from collections.abc import Sequence
from typing import Any, Literal

import sqlalchemy as sa
from sqlmodel import Session, col, select

from flywheel.core.errors import MisuseError
from flywheel.core.events import Event
from flywheel.core.frozen import Frozen
from flywheel.store.ledger import event_by_seq, events_by_seq, last_event
from flywheel.store.prefixes import begins
from flywheel.store.tables import AdapterRow, ExampleRow, JobRow, LedgerRow, OutcomeRow, ReportRow, RequestRow

#: What a person most likely means by a name: how its story ended, before how it began.
ENDS = (
    "rollout.adapter_rolled_back", "rollout.adapter_promoted", "rollout.adapter_rejected", "rollout.canary_started",
    "rollout.shadow_compared", "rollout.shadow_started", "gate.adapter_passed", "gate.adapter_failed",
)  # fmt: skip
_LONGEST = 40
_DIGITS = 18  # a longer number is no event's: the store cannot hold it
_AHEAD = 20_000  # effects follow their cause; further than that nobody looks for one


class Found(Frozen):
    """What a name means: an event, an example or an outcome, by its whole name."""

    kind: Literal["event", "example", "outcome"]
    name: str


class Story(Frozen):
    """An effect, its causes from near to far, what it led to, and the reports that speak of its adapters."""

    effect: Event
    causes: tuple[Event, ...] = ()
    effects: tuple[Event, ...] = ()
    reports: tuple[str, ...] = ()


def find(session: Session, name: str) -> Found:
    """Return what a person means by a number, a name, an id or hash, or the beginning of one."""
    number = name.removeprefix("#")
    if number.isdecimal() and len(number) <= _DIGITS and event_by_seq(session, int(number)):
        return Found(kind="event", name=str(int(number)))
    seq = (_of_subject(session, name) or _of_row(session, name)) if name else None
    if seq is not None:
        return Found(kind="event", name=str(seq))
    for kind, column in (("example", col(ExampleRow.id)), ("outcome", col(OutcomeRow.key))):
        if name and (whole := _whole(session, column, name)):
            return Found.model_validate({"kind": kind, "name": whole})
    raise MisuseError(f"nothing is called {name!r}", "try a number of the ledger, an adapter, a run, a hash or an id")


def explained(session: Session, seq: int) -> Story:
    """Return the story around an event."""
    effect = event_by_seq(session, seq)
    if effect is None:
        raise MisuseError(f"the ledger has no event {seq}", "see the decisions for numbers")
    causes = _causes(session, effect)
    subjects = {event.subject for event in (effect, *causes) if event.subject}
    return Story(
        effect=effect,
        causes=tuple(causes),
        effects=tuple(_effects(session, seq)),
        reports=tuple(_reports(session, subjects)),
    )


def _of_subject(session: Session, name: str) -> int | None:
    query = select(LedgerRow.subject).where(begins(session, col(LedgerRow.subject), name)).distinct()
    subjects = session.exec(query.order_by(LedgerRow.subject).limit(6)).all()
    if not subjects:
        return None
    if len(subjects) > 1 and name not in subjects:
        raise MisuseError(f"{name!r} begins several names: {', '.join(subjects[:5])}", "give more of the name")
    subject = name if name in subjects else subjects[0]
    end = last_event(session, subject=subject, kinds=ENDS) or last_event(session, subject=subject)
    return end.seq if end else None


def _of_row(session: Session, name: str) -> int | None:
    """Return the event that tells of a report, a request, an adapter's hash or a job."""
    for column, seq in (
        (col(ReportRow.id), col(ReportRow.seq)),
        (col(RequestRow.id), col(RequestRow.cause)),
        (col(AdapterRow.hash), col(AdapterRow.seq)),
        (col(JobRow.id), col(JobRow.cause)),
    ):
        found = session.execute(sa.select(seq).where(begins(session, column, name)).limit(2)).scalars().all()
        if len(found) == 1 and found[0] is not None:
            return int(found[0])
    return None


def _whole(session: Session, column: Any, name: str) -> str | None:
    found = session.execute(sa.select(column).where(begins(session, column, name)).limit(2)).scalars().all()
    if len(found) > 1 and name not in found:
        raise MisuseError(f"{name!r} begins several names", "give more of the name")
    return (name if name in found else str(found[0])) if found else None


def _causes(session: Session, effect: Event) -> list[Event]:
    found: list[Event] = []
    seen = {effect.seq}
    event: Event | None = effect
    while event is not None and event.cause is not None and event.cause not in seen and len(found) < _LONGEST:
        seen.add(event.cause)
        event = event_by_seq(session, event.cause)
        found += [event] if event else []
    return found


def _effects(session: Session, seq: int) -> Sequence[Event]:
    near = select(LedgerRow.seq, LedgerRow.cause).where(col(LedgerRow.seq) > seq, col(LedgerRow.seq) <= seq + _AHEAD)
    rows = near.subquery()
    query = select(rows.c.seq).where(rows.c.cause == seq).order_by(rows.c.seq).limit(20)
    return events_by_seq(session, list(session.exec(query).all()))[::-1]


def _reports(session: Session, subjects: set[str]) -> Sequence[str]:
    query = select(ReportRow.id).join(AdapterRow, col(AdapterRow.hash) == col(ReportRow.adapter))
    return session.exec(query.where(col(AdapterRow.name).in_(subjects)).order_by(col(ReportRow.seq).desc())).all()
