"""Outcomes: stored once by their content key; a changed label is a revision that curation looks at again."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field
from sqlalchemy import false, insert, update
from sqlmodel import Session, col, select

from flywheel.core.examples import prompt_key
from flywheel.core.frozen import Frozen
from flywheel.core.outcomes import Label, Labelled, Message, Outcome, Signal
from flywheel.store.counters import add_to_counter
from flywheel.store.tables import OutcomeRow

_NAMES_A_QUERY = 500
_WAITING = (
    col(OutcomeRow.considered) == false()
)  # as the partial index says it; SQLite does not see that `IS 0` is the same


class Ingested(Frozen):
    """What storing a batch changed: counts of new and changed outcomes by label, by line, and by why they have none."""

    new: int = 0
    changed: int = 0
    labels: dict[str, int] = Field(default_factory=dict)
    lines: dict[str, int] = Field(default_factory=dict)
    unassigned: dict[str, int] = Field(default_factory=dict)


class StoredOutcome(Frozen):
    """An outcome with what the store knows beside it."""

    seq: int
    prompt_key: str
    revision: int
    considered: bool
    outcome: Outcome


def store_outcomes(session: Session, outcomes: Iterable[Outcome], unrevised: frozenset[str] = frozenset()) -> Ingested:
    """Store what is new, revise what changed, leave the rest alone; keys in `unrevised` keep the label they have."""
    by_key = {outcome.key: outcome for outcome in outcomes}
    known = _known(session, list(by_key))
    new = [outcome for key, outcome in by_key.items() if key not in known]
    changed = [
        (row, outcome) for key, row in known.items() if (outcome := _revised(row, by_key[key], key in unrevised))
    ]
    counts: Counter[tuple[str, str]] = Counter()
    _insert(session, new)
    for outcome in new:
        _count(counts, outcome.line, outcome.labelled.label.value, 1)
    for row, outcome in changed:
        _count(counts, row.line, row.label, -1)
        _count(counts, outcome.line, outcome.labelled.label.value, 1)
        _revise(session, row, outcome)
    for (scope, name), amount in sorted(counts.items()):
        if amount:
            add_to_counter(session, scope, name, amount)
    seen = [*new, *(outcome for _, outcome in changed)]
    return Ingested(
        new=len(new),
        changed=len(changed),
        labels=dict(sorted(Counter(outcome.labelled.label.value for outcome in seen).items())),
        lines=dict(sorted(Counter(outcome.line for outcome in seen if outcome.line is not None).items())),
        unassigned=dict(
            sorted(Counter(outcome.extra.get("unassigned", "") for outcome in seen if outcome.line is None).items())
        ),
    )


def outcome_by_key(session: Session, key: str) -> StoredOutcome | None:
    """Return one outcome."""
    row = session.exec(select(OutcomeRow).where(OutcomeRow.key == key)).first()
    return _stored(row) if row else None


def outcomes_of_task(session: Session, source: str, task: str) -> list[StoredOutcome]:
    """Return a task's outcomes in the order they were stored."""
    query = select(OutcomeRow).where(OutcomeRow.source == source, OutcomeRow.task == task).order_by(col(OutcomeRow.seq))
    return [_stored(row) for row in session.exec(query).all()]


def tasks_with_outcomes(session: Session, source: str, tasks: Sequence[str]) -> frozenset[str]:
    """Return which of these tasks have outcomes."""
    found: set[str] = set()
    for start in range(0, len(tasks), _NAMES_A_QUERY):
        names = col(OutcomeRow.task).in_(tasks[start : start + _NAMES_A_QUERY])
        found.update(session.exec(select(OutcomeRow.task).where(OutcomeRow.source == source, names).distinct()).all())
    return frozenset(found)


def has_waiting(session: Session, line: str) -> bool:
    """Tell whether curation has outcomes of the line to consider; costs the same at any size."""
    query = select(OutcomeRow.seq).where(OutcomeRow.line == line, _WAITING)
    return session.exec(query.limit(1)).first() is not None


def waiting_outcomes(session: Session, line: str, limit: int) -> list[StoredOutcome]:
    """Return outcomes of the line that curation has not considered in their present form, oldest first."""
    query = select(OutcomeRow).where(OutcomeRow.line == line, _WAITING)
    return [_stored(row) for row in session.exec(query.order_by(col(OutcomeRow.seq)).limit(limit)).all()]


def mark_considered(session: Session, seqs: Sequence[int]) -> None:
    """Record that curation has looked at these in their present form."""
    for start in range(0, len(seqs), _NAMES_A_QUERY):
        chosen = col(OutcomeRow.seq).in_(seqs[start : start + _NAMES_A_QUERY])
        session.connection().execute(update(OutcomeRow).where(chosen).values(considered=True))


def positive_outcomes(session: Session, line: str, question: str) -> list[StoredOutcome]:
    """Return the line's positive outcomes for one question, oldest first."""
    query = select(OutcomeRow).where(
        OutcomeRow.line == line, OutcomeRow.prompt_key == question, OutcomeRow.label == Label.POSITIVE.value
    )
    return [_stored(row) for row in session.exec(query.order_by(col(OutcomeRow.seq))).all()]


def list_outcomes(
    session: Session, *, line: str | None = None, label: str | None = None, before: int | None = None, limit: int = 50
) -> list[StoredOutcome]:
    """Return outcomes, newest first."""
    query = select(OutcomeRow).order_by(col(OutcomeRow.seq).desc()).limit(limit)
    if line is not None:
        query = query.where(OutcomeRow.line == line)
    if label is not None:
        query = query.where(OutcomeRow.label == label)
    if before is not None:
        query = query.where(col(OutcomeRow.seq) < before)
    return [_stored(row) for row in session.exec(query).all()]


def _known(session: Session, keys: Sequence[str]) -> dict[str, OutcomeRow]:
    found: dict[str, OutcomeRow] = {}
    for start in range(0, len(keys), _NAMES_A_QUERY):
        query = select(OutcomeRow).where(col(OutcomeRow.key).in_(keys[start : start + _NAMES_A_QUERY]))
        found.update({row.key: row for row in session.exec(query).all()})
    return found


def _revised(row: OutcomeRow, outcome: Outcome, keeps_label: bool) -> Outcome | None:  # noqa: FBT001 - a plain predicate
    """Return what the outcome is now when that differs from what is stored."""
    if keeps_label:
        outcome = outcome.model_copy(update={"labelled": _labelled(row)})
    same = (row.label, row.confidence, row.line) == (
        outcome.labelled.label.value,
        outcome.labelled.confidence,
        outcome.line,
    )
    return None if same else outcome


def _count(counts: Counter[tuple[str, str]], line: str | None, label: str, amount: int) -> None:
    scope, name = ("unassigned", "outcomes") if line is None else (f"line:{line}", f"outcomes_{label}")
    counts[scope, name] += amount


def _insert(session: Session, outcomes: Sequence[Outcome]) -> None:
    if outcomes:  # known to be new, in a transaction that began with the writer's lock; the key is unique all the same
        session.connection().execute(insert(OutcomeRow), [_row(outcome) for outcome in outcomes])


def _revise(session: Session, row: OutcomeRow, outcome: Outcome) -> None:
    row.label = outcome.labelled.label.value
    row.confidence = outcome.labelled.confidence
    row.line = outcome.line
    row.revision += 1
    row.considered = outcome.line is None
    row.body = {**row.body, "signals": _signals(outcome), "extra": outcome.extra}
    session.add(row)
    session.flush()


def _row(outcome: Outcome) -> Mapping[str, Any]:
    return {
        "key": outcome.key,
        "source": outcome.source,
        "task": outcome.task,
        "session": outcome.session,
        "repo": outcome.group,
        "call_type": outcome.call_type,
        "at": outcome.at,
        "model": outcome.model,
        "line": outcome.line,
        "label": outcome.labelled.label.value,
        "confidence": outcome.labelled.confidence,
        "prompt_key": prompt_key(outcome.messages),
        "revision": 1,
        "considered": outcome.line is None,  # what belongs to no line waits for nobody
        "body": {
            "messages": [[message.role, message.content] for message in outcome.messages],
            "response": outcome.response,
            "signals": _signals(outcome),
            "extra": outcome.extra,
        },
    }


def _signals(outcome: Outcome) -> list[dict[str, Any]]:
    return [signal.model_dump() for signal in outcome.labelled.signals]


def _labelled(row: OutcomeRow) -> Labelled:
    signals = tuple(Signal(**signal) for signal in row.body["signals"])
    return Labelled(label=Label(row.label), confidence=row.confidence, signals=signals)


def _stored(row: OutcomeRow) -> StoredOutcome:
    outcome = Outcome(
        key=row.key,
        source=row.source,
        task=row.task,
        session=row.session,
        group=row.repo,
        call_type=row.call_type,
        at=row.at,
        model=row.model,
        messages=tuple(Message(role=role, content=content) for role, content in row.body["messages"]),
        response=row.body["response"],
        labelled=_labelled(row),
        line=row.line,
        extra=row.body["extra"],
    )
    return StoredOutcome(
        seq=row.seq or 0, prompt_key=row.prompt_key, revision=row.revision, considered=row.considered, outcome=outcome
    )
