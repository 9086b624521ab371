"""Outcomes: stored once by their content key; a changed label is a revision that curation looks at again."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pydantic import Field
from pydantic_core import to_json
from sqlalchemy import false, update
from sqlmodel import Session, col, select

from flywheel.core.examples import prompt_key
from flywheel.core.frozen import Frozen
from flywheel.core.outcomes import Label, Labelled, Message, Outcome, Signal
from flywheel.store.batches import MANY, among, insert_rows
from flywheel.store.counters import add_to_counter
from flywheel.store.departures import note_departure
from flywheel.store.forgotten import not_forgotten
from flywheel.store.tables import OutcomeRow
from flywheel.store.words import Words, known_words

_NAMES_A_QUERY = 500
_UTC_ENDS = 26  # as SQLite keeps a moment: 2026-01-01 10:00:00.000000, without its zone
_COLUMNS = (
    "key", "source", "task", "session", "repo", "call_type", "at", "model", "line", "label", "confidence", "prompt_key",
    "revision", "considered", "chain", "gone", "body",
)  # fmt: skip
_GONE = Signal(name="gone", points=0, strength=0.0, note="the source has it no more")
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

    def __add__(self, other: "Ingested") -> "Ingested":
        """Return both together."""
        sums = {name: dict(sorted((Counter(getattr(self, name)) + Counter(getattr(other, name))).items()))
                for name in ("labels", "lines", "unassigned")}  # fmt: skip
        return Ingested(new=self.new + other.new, changed=self.changed + other.changed, **sums)


class StoredOutcome(Frozen):
    """An outcome with what the store knows beside it."""

    seq: int
    prompt_key: str
    revision: int
    considered: bool
    outcome: Outcome


def store_outcomes(
    session: Session,
    outcomes: Iterable[Outcome],
    unrevised: frozenset[str] = frozenset(),
    words: Mapping[str, Words] = MappingProxyType({}),
) -> Ingested:
    """Store what is new, revise what changed, leave the rest alone; keys in `unrevised` keep the label they have.

    `words` save working them out; those that an outcome does not have any more are not used.
    """
    by_key = {outcome.key: outcome for outcome in not_forgotten(session, outcomes)}
    known = _known(session, list(by_key))
    new = [outcome for key, outcome in by_key.items() if key not in known]
    changed = [
        (row, outcome) for key, row in known.items() if (outcome := _revised(row, by_key[key], key in unrevised))
    ]
    counts: Counter[tuple[str, str]] = Counter()
    _insert(session, new, words)
    for (label, line, _), amount in _kinds(new).items():
        _count(counts, line, label, amount)
    for row, outcome in changed:
        _count(counts, row.line, row.label, -1)
        _count(counts, outcome.line, outcome.labelled.label.value, 1)
        _revise(session, row, outcome)
    for (scope, name), amount in sorted(counts.items()):
        if amount:
            add_to_counter(session, scope, name, amount)
    return _ingested(_kinds(new), _kinds([outcome for _, outcome in changed]))


_Kinds = Counter[tuple[str, str | None, str]]  # label, line, and why it has none


def _kinds(outcomes: Sequence[Outcome]) -> _Kinds:
    found = Counter((one.labelled.label, one.line, one.extra.get("unassigned", "")) for one in outcomes)
    return Counter({(label.value, line, why): amount for (label, line, why), amount in found.items()})


def _ingested(new: _Kinds, changed: _Kinds) -> Ingested:
    labels: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    unassigned: Counter[str] = Counter()
    for (label, line, why), amount in (new + changed).items():
        labels[label] += amount
        if line is None:
            unassigned[why] += amount
        else:
            lines[line] += amount
    sums = {"labels": labels, "lines": lines, "unassigned": unassigned}
    told = {name: dict(sorted(counted.items())) for name, counted in sums.items()}
    return Ingested(new=new.total(), changed=changed.total(), **told)


def retire_missing(session: Session, source: str, task: str, present: frozenset[str]) -> Ingested:
    """Let what is stored of a task, and is not present at its source any more, be unknown and marked as gone."""
    stored = session.exec(select(OutcomeRow.key).where(OutcomeRow.source == source, OutcomeRow.task == task)).all()
    return retire(session, [key for key in stored if key not in present], _GONE)


def retire(session: Session, keys: Sequence[str], why: Signal) -> Ingested:
    """Let these outcomes be unknown and marked as gone; those that are not stored stay so."""
    return _retire(session, list(_known(session, keys).values()), why)


def _retire(session: Session, rows: Sequence[OutcomeRow], why: Signal) -> Ingested:
    missing = [row for row in rows if not row.gone]
    counts: Counter[tuple[str, str]] = Counter()
    for row in missing:
        _count(counts, row.line, row.label, -1)
        _count(counts, row.line, Label.UNKNOWN.value, 1)
        row.label, row.confidence, row.gone = Label.UNKNOWN.value, 0.0, True
        row.revision += 1
        row.considered = row.line is None
        row.body = {**row.body, "signals": [*row.body["signals"], why.model_dump()]}
        session.add(row)
    session.flush()
    for (scope, name), amount in sorted(counts.items()):
        if amount:
            add_to_counter(session, scope, name, amount)
    return Ingested(changed=len(missing), labels={Label.UNKNOWN.value: len(missing)} if missing else {})


def outcome_by_key(session: Session, key: str) -> StoredOutcome | None:
    """Return one outcome."""
    row = session.exec(select(OutcomeRow).where(OutcomeRow.key == key)).first()
    return _stored(row) if row else None


def outcomes_by_key(session: Session, keys: Sequence[str]) -> list[StoredOutcome]:
    """Return a few outcomes, oldest first."""
    return sorted((_stored(row) for row in _known(session, keys).values()), key=lambda stored: stored.seq)


def outcomes_by_seq(session: Session, seqs: Sequence[int]) -> list[StoredOutcome]:
    """Return a few outcomes, oldest first."""
    query = select(OutcomeRow).where(col(OutcomeRow.seq).in_(seqs)).order_by(col(OutcomeRow.seq))
    return [_stored(row) for row in session.exec(query).all()]


def outcomes_of_task(session: Session, source: str, task: str) -> list[StoredOutcome]:
    """Return a task's outcomes in the order they were stored."""
    query = select(OutcomeRow).where(OutcomeRow.source == source, OutcomeRow.task == task).order_by(col(OutcomeRow.seq))
    return [_stored(row) for row in session.exec(query).all()]


def tasks_with_outcomes(session: Session, source: str, tasks: Sequence[str]) -> frozenset[str]:
    """Return which of these tasks have outcomes."""
    names = among(session, OutcomeRow.task, tasks)
    return frozenset(session.exec(select(OutcomeRow.task).where(OutcomeRow.source == source, names).distinct()).all())


def has_waiting(session: Session, line: str) -> bool:
    """Tell whether curation has outcomes of the line to consider; costs the same at any size."""
    # In the order of the partial index: without it SQLite prefers another one, which holds every outcome of the line.
    query = select(OutcomeRow.seq).where(OutcomeRow.line == line, _WAITING).order_by(col(OutcomeRow.seq))
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


def reconsider(session: Session, key: str) -> None:
    """Let curation look at an outcome once more; one that belongs to no line waits for nobody."""
    one = (col(OutcomeRow.key) == key) & col(OutcomeRow.line).is_not(None)
    session.connection().execute(update(OutcomeRow).where(one).values(considered=False))


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
    for start in range(0, len(keys), MANY):
        query = select(OutcomeRow).where(among(session, OutcomeRow.key, keys[start : start + MANY]))
        found.update({row.key: row for row in session.exec(query).all()})
    return found


def _revised(row: OutcomeRow, outcome: Outcome, keeps_label: bool) -> Outcome | None:  # noqa: FBT001 - a plain predicate
    """Return what the outcome is now when that differs from what is stored."""
    outcome = _keeping_join(row, outcome)
    if keeps_label:
        outcome = outcome.model_copy(update={"labelled": _labelled(row)})
    return None if _is_same(row, outcome) and _call(row.body["extra"]) == _call(outcome.extra) else outcome


def _is_same(row: OutcomeRow, outcome: Outcome) -> bool:
    return (row.label, row.confidence, row.line, row.gone, row.chain, row.body.get("weight", 1.0)) == (
        outcome.labelled.label.value,
        outcome.labelled.confidence,
        outcome.line,
        False,
        outcome.chain,
        outcome.weight,
    )


def _call(extra: Mapping[str, Any]) -> Any:
    return extra.get("call")


def _keeping_join(row: OutcomeRow, outcome: Outcome) -> Outcome:
    """Return the outcome with the captured prompt it was joined to before: a join, once made, stays."""
    held = row.body["extra"]
    if _call(held) is None or _call(outcome.extra) is not None:
        return outcome
    stored = _stored(row).outcome
    kept = {name: held[name] for name in ("call", "answered_by", "arm") if name in held}
    words = {"messages": stored.messages, "tools": stored.tools}
    return outcome.model_copy(update={**words, "extra": {**outcome.extra, **kept}})


def _count(counts: Counter[tuple[str, str]], line: str | None, label: str, amount: int) -> None:
    scope, name = ("unassigned", "outcomes") if line is None else (f"line:{line}", f"outcomes_{label}")
    counts[scope, name] += amount


def _insert(session: Session, outcomes: Sequence[Outcome], words: Mapping[str, Words]) -> None:
    # Known to be new, in a transaction that began with the writer's lock; the key is unique all the same.
    as_text = session.get_bind().dialect.name == "sqlite"
    rows = [_row(outcome, known_words(outcome, words), as_text=as_text) for outcome in outcomes]
    insert_rows(session, OutcomeRow, _COLUMNS, rows)


def _revise(session: Session, row: OutcomeRow, outcome: Outcome) -> None:
    if row.line is not None and row.line != outcome.line:
        note_departure(session, row.line, row.key)  # what rests on it there is let go of by that line's curation
    if _call(row.body["extra"]) != _call(outcome.extra) and not _reword(session, row, outcome):
        return
    row.label = outcome.labelled.label.value
    row.confidence = outcome.labelled.confidence
    row.line = outcome.line
    row.revision += 1
    row.considered = outcome.line is None
    row.gone = False
    row.chain = outcome.chain
    row.call_type, row.model = outcome.call_type, row.model or outcome.model  # some agents tell them only afterwards
    row.body = {**row.body, "signals": _signals(outcome), "extra": outcome.extra, **_aside(outcome)}
    session.add(row)
    session.flush()


def _reword(session: Session, row: OutcomeRow, outcome: Outcome) -> bool:
    """Let the outcome ask what its captured call asked; False when nothing else is left to revise."""
    question, same = prompt_key(outcome.messages), _is_same(row, outcome)
    words = {"messages": _words(outcome), "tools": list(outcome.tools), "extra": outcome.extra}
    asked_the_same = question == row.prompt_key and words["tools"] == row.body.get("tools", [])
    row.prompt_key, row.body = question, {**row.body, **words}
    session.add(row)
    session.flush()
    return not (same and asked_the_same)


def _row(outcome: Outcome, words: Words, *, as_text: bool) -> tuple[Any, ...]:
    """Return the values of a new row in the order of `_COLUMNS`, as the driver takes them."""
    rest = to_json({"signals": outcome.labelled.signals, "extra": outcome.extra, **_aside(outcome)}).decode()
    return (
        outcome.key,
        outcome.source,
        outcome.task,
        outcome.session,
        outcome.group,
        outcome.call_type,
        outcome.at.isoformat(" ", "microseconds")[:_UTC_ENDS] if as_text else outcome.at,
        outcome.model,
        outcome.line,
        outcome.labelled.label.value,
        outcome.labelled.confidence,
        words.question,
        1,
        outcome.line is None,  # what belongs to no line waits for nobody
        outcome.chain,
        False,
        f"{words.text},{rest.removeprefix('{')}",
    )


def _aside(outcome: Outcome) -> dict[str, Any]:
    """Return what most outcomes do not have, so that the others need no room for it."""
    held: dict[str, Any] = {}
    if outcome.origin != "logged":
        held["origin"] = outcome.origin
    if outcome.weight != 1:
        held["weight"] = outcome.weight
    if outcome.tags:
        held["tags"] = list(outcome.tags)
    if outcome.tools:
        held["tools"] = list(outcome.tools)
    return held


def _words(outcome: Outcome) -> list[list[str]]:
    return [[message.role, message.content] for message in outcome.messages]


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
        origin=row.body.get("origin", "logged"),
        weight=row.body.get("weight", 1.0),
        tags=tuple(row.body.get("tags", ())),
        tools=tuple(row.body.get("tools", ())),
        chain=row.chain,
    )
    return StoredOutcome(
        seq=row.seq or 0, prompt_key=row.prompt_key, revision=row.revision, considered=row.considered, outcome=outcome
    )
