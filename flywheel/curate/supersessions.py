"""Telling of examples that were frozen into datasets before their evidence fell. The datasets stay as they are."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session

from flywheel.core.events import Event
from flywheel.core.outcomes import Signal
from flywheel.store import ledger
from flywheel.store.counters import cursor, move_cursor
from flywheel.store.outcomes import StoredOutcome, outcomes_by_key
from flywheel.store.runs import adapter_by_name
from flywheel.store.supersessions import TAUGHT, Fall, held_in, made_from, record_falls, superseded_in

PUBLISHED = "train.adapter_published"
_TOLD = "curate:superseded"  # how far published adapters were compared with what had fallen
_ADAPTERS_AT_ONCE = 10_000


def tell_falls(
    session: Session, line: str, fallen: Sequence[tuple[str, str]], at: datetime, cause: int | None
) -> int | None:
    """Record which of these examples stand in frozen datasets, with one event that names the adapters they taught."""
    held = held_in(session, [example for example, _ in fallen])
    frozen = [(example, outcome) for example, outcome in fallen if example in held]
    if not frozen:
        return None
    rested = {stored.outcome.key: stored for stored in outcomes_by_key(session, [outcome for _, outcome in frozen])}
    falls = [_fall(line, example, outcome, rested.get(outcome), at) for example, outcome in frozen]
    taught = sorted({one.hash for example, _ in frozen for one in held[example] if one.part in TAUGHT})
    body: dict[str, Any] = {
        "examples": len(falls),
        "datasets": sorted({one.hash for example, _ in frozen for one in held[example]}),
        "adapters": [made.model_dump(include={"name", "state"}) for made in made_from(session, taught)],
        "reasons": dict(sorted(Counter(fall.reason for fall in falls).items())),
    }
    event = Event(kind="curate.examples_superseded", at=at, line=line, subject=line, cause=cause, body=body)
    seq = ledger.append(session, event)
    record_falls(session, falls, seq)
    return seq


def unreported(session: Session) -> int | None:
    """Return the newest published adapter's event when nobody has looked yet whether it learned what had fallen."""
    newest = ledger.last_event(session, kinds=[PUBLISHED])
    if newest is None or newest.seq is None or newest.seq <= _told(session):
        return None
    return newest.seq


def report_published(session: Session, at: datetime, cause: int | None) -> list[str]:
    """Tell, once for each adapter, that some of what it learned had lost its evidence before it was published."""
    fresh = ledger.events(session, kinds=[PUBLISHED], after=_told(session), limit=_ADAPTERS_AT_ONCE)
    named = [published.subject for published in fresh if _report(session, published, at, cause)]
    if fresh:
        move_cursor(session, _TOLD, {"seq": fresh[-1].seq})
    return named


def _report(session: Session, published: Event, at: datetime, cause: int | None) -> bool:
    adapter = adapter_by_name(session, published.subject)
    examples = superseded_in(session, adapter.manifest.dataset) if adapter is not None else []
    if adapter is None or not examples:
        return False
    body = {
        "examples": len(examples),
        "datasets": [adapter.manifest.dataset],
        "adapters": [made.model_dump(include={"name", "state"})
                     for made in made_from(session, [adapter.manifest.dataset]) if made.name == adapter.name],
    }  # fmt: skip
    event = Event(
        kind="curate.examples_superseded",
        at=at,
        line=adapter.line,
        subject=adapter.name,
        cause=published.seq if published.seq is not None else cause,
        body=body,
    )
    ledger.append(session, event, key=f"superseded/{adapter.name}")
    return True


def _told(session: Session) -> int:
    held: Any = cursor(session, _TOLD).get("seq", 0)
    return int(held)


def _fall(line: str, example: str, outcome: str, stored: StoredOutcome | None, at: datetime) -> Fall:
    if stored is None:
        return Fall(example=example, line=line, outcome=outcome, revision=0, label="unknown", reason="gone", at=at)
    found = stored.outcome
    reason = "it belongs to another line" if found.line != line else _reason(found.labelled.signals)
    return Fall(
        example=example,
        line=line,
        outcome=outcome,
        revision=stored.revision,
        label=found.labelled.label.value,
        reason=reason,
        at=at,
    )


def _reason(signals: Sequence[Signal]) -> str:
    """Return the name of what speaks most strongly against an outcome, or of what was seen last."""
    against = [signal for signal in signals if signal.points < 0]
    if against:
        return max(against, key=lambda signal: signal.strength).name
    return signals[-1].name if signals else "no evidence"
