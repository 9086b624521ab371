"""Preference pairs as they are read: those that may teach, with their words.

A pair holds no words of its own: they stay with its outcomes, so that what is forgotten there is forgotten here.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlmodel import Session, col, select

from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.lineages import Lineage
from flywheel.core.outcomes import Message
from flywheel.core.pairs import PairKind, Preference
from flywheel.store.datasets import examined_questions, held_out_places
from flywheel.store.evidence_tables import PairRow
from flywheel.store.lineages import outcome_lineages
from flywheel.store.tables import OutcomeRow

SESSION_FLOOR = 8  # a session may always bring so many: a hundredth of a small set would be nothing
_NAMES_A_QUERY = 400
_WORDS_AT_ONCE = 100


class ListedPair(Frozen):
    """What a list of pairs shows."""

    seq: int
    id: str
    at: datetime
    line: str
    kind: PairKind
    chosen: str
    rejected: str
    withdrawn: bool


class StandingPair(NamedTuple):
    """A pair that was not withdrawn, by the keys of its outcomes."""

    seq: int
    id: str
    chosen: str
    rejected: str
    prompt_key: str
    chosen_prompt_key: str
    at: datetime


class _Origin(NamedTuple):
    """Where an outcome comes from, and the hash of its answer."""

    source: str
    task: str
    session: str
    answer: str


def pairs_of(session: Session, line: str, session_cap: float = 0.01) -> Iterator[Preference]:
    """Yield the line's pairs that may teach, in the order they came, each with its words.

    Left out: pairs whose question stands in a suite or whose task is held out for one, the same words twice, words
    that stand the other way round elsewhere, and what goes beyond a session's share.
    """
    kept = _teaching(session, line, session_cap)
    for start in range(0, len(kept), _WORDS_AT_ONCE):
        chunk = kept[start : start + _WORDS_AT_ONCE]
        outcomes = _outcomes(session, [key for row in chunk for key in (row.chosen, row.rejected)])
        yield from (_preference(row, outcomes) for row in chunk)


def list_pairs(session: Session, line: str | None = None, limit: int = 50) -> list[ListedPair]:
    """Return the newest pairs, newest first, without their words."""
    query = select(PairRow).order_by(col(PairRow.seq).desc()).limit(limit)
    rows = session.exec(query.where(PairRow.line == line) if line else query).all()
    return [ListedPair(**row.model_dump(include=set(ListedPair.model_fields))) for row in rows]


def standing_pairs(session: Session, line: str) -> list[StandingPair]:
    """Return every pair of a line that was not withdrawn, in the order they came, without their words."""
    columns: Any = [getattr(PairRow, name) for name in StandingPair._fields]
    query: Any = select(*columns).where(PairRow.line == line, col(PairRow.withdrawn).is_(False))
    return [StandingPair(*row) for row in session.execute(query.order_by(col(PairRow.seq))).all()]


def pairs_by_id(session: Session, ids: Sequence[str]) -> list[StandingPair]:
    """Return a few pairs, whether they stand or not."""
    columns: Any = [getattr(PairRow, name) for name in StandingPair._fields]
    found: list[StandingPair] = []
    for start in range(0, len(ids), _NAMES_A_QUERY):
        chosen = col(PairRow.id).in_(ids[start : start + _NAMES_A_QUERY])
        query: Any = select(*columns).where(chosen)
        found += [StandingPair(*row) for row in session.execute(query.order_by(col(PairRow.seq))).all()]
    return found


def count_pairs(session: Session, line: str, after: int, limit: int) -> int:
    """Return how many pairs that stand came after one; no more are counted than asked for."""
    query = select(PairRow.seq).where(PairRow.line == line, col(PairRow.seq) > after, col(PairRow.withdrawn).is_(False))
    return len(session.exec(query.order_by(col(PairRow.seq)).limit(limit)).all())


def pair_lineages(session: Session, ids: Sequence[str]) -> dict[str, Lineage]:
    """Return where these pairs come from, by their better answers; one that is not known any more is forgotten."""
    found = {name: Lineage(example=name, line="", withdrawn=True, forgotten=True) for name in ids}
    for start in range(0, len(ids), _NAMES_A_QUERY):
        chosen = col(PairRow.id).in_(ids[start : start + _NAMES_A_QUERY])
        rows = session.exec(select(PairRow).where(chosen)).all()
        known = outcome_lineages(session, sorted({row.chosen for row in rows}))
        for row in rows:
            told = {"example": row.id, "line": row.line, "category": row.kind, "at": row.at, "withdrawn": row.withdrawn}
            found[row.id] = known[row.chosen].model_copy(update=told)
    return found


def _teaching(session: Session, line: str, session_cap: float) -> list[PairRow]:
    examined, (held_out, _) = examined_questions(session), held_out_places(session, line)
    query = select(PairRow).where(PairRow.line == line, col(PairRow.withdrawn).is_(False))
    rows = [
        row
        for row in session.exec(query.order_by(col(PairRow.seq))).all()
        if row.prompt_key not in examined and row.chosen_prompt_key not in examined
    ]
    origins = _origins(session, sorted({key for row in rows for key in (row.chosen, row.rejected)}))
    sides = {row.id: (origins[row.chosen], origins[row.rejected]) for row in rows if _known(row, origins)}
    free = [row for row in rows if row.id in sides and not any(side.task in held_out for side in sides[row.id])]
    return _capped(_once(free, sides), sides, session_cap)


def _known(row: PairRow, origins: Mapping[str, _Origin]) -> bool:
    return row.chosen in origins and row.rejected in origins


def _once(rows: Sequence[PairRow], sides: Mapping[str, tuple[_Origin, _Origin]]) -> list[PairRow]:
    """Keep one pair for the same words, and none where the words contradict each other."""
    words = {row.id: (row.prompt_key, sides[row.id][0].answer, sides[row.id][1].answer) for row in rows}
    said = set(words.values())
    first = {words[row.id]: row.id for row in reversed(rows)}
    return [
        row
        for row in rows
        if first[words[row.id]] == row.id and (words[row.id][0], words[row.id][2], words[row.id][1]) not in said
    ]


def _capped(rows: Sequence[PairRow], sides: Mapping[str, tuple[_Origin, _Origin]], session_cap: float) -> list[PairRow]:
    cap = max(SESSION_FLOOR, int(session_cap * len(rows)))
    seen: Counter[tuple[str, str]] = Counter()
    kept = []
    for row in rows:
        name = sides[row.id][0].source, sides[row.id][0].session
        seen[name] += 1
        if seen[name] <= cap:
            kept.append(row)
    return kept


def _origins(session: Session, keys: Sequence[str]) -> dict[str, _Origin]:
    found: dict[str, _Origin] = {}
    answer: Any = col(OutcomeRow.body)["response"].as_string()
    for start in range(0, len(keys), _NAMES_A_QUERY):
        query: Any = select(OutcomeRow.key, OutcomeRow.source, OutcomeRow.task, OutcomeRow.session).add_columns(answer)
        chosen = query.where(col(OutcomeRow.key).in_(keys[start : start + _NAMES_A_QUERY]))
        for key, source, task, name, words in session.exec(chosen).all():
            found[key] = _Origin(source, task, name, content_hash(words))
    return found


def _outcomes(session: Session, keys: Sequence[str]) -> dict[str, OutcomeRow]:
    rows = session.exec(select(OutcomeRow).where(col(OutcomeRow.key).in_(keys))).all()
    return {row.key: row for row in rows}


def _preference(row: PairRow, outcomes: Mapping[str, OutcomeRow]) -> Preference:
    chosen, rejected = outcomes[row.chosen], outcomes[row.rejected]
    return Preference(
        id=row.id,
        line=row.line,
        kind=row.kind,
        prompt=tuple(Message(role=role, content=content) for role, content in rejected.body["messages"]),
        chosen=chosen.body["response"],
        rejected=rejected.body["response"],
        tools=tuple(rejected.body.get("tools", ())),
        task=chosen.task,
        session=chosen.session,
        group=chosen.repo,
        weight=chosen.body.get("weight", 1.0),
        at=row.at,
    )
