"""Pages of what is too much to list: by key, newest first, each at a cost that does not grow with the store.

Every page walks an index from where the last one ended. Where no index answers a wish, so many rows are looked through
and the page says where to go on.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Select, String, Subquery, cast, tuple_, union_all
from sqlmodel import Session, SQLModel, col, select

from flywheel.core.events import Event
from flywheel.core.frozen import Frozen
from flywheel.store.ledger import events_by_seq
from flywheel.store.tables import DatasetExampleRow, ExampleRow, LedgerRow, OutcomeRow, QuarantineRow

PAGE = 50
WINDOW = 4000  # rows that are looked through for one page, at most
_DECISION = {"allow": "policy.intent_allowed", "hold": "policy.intent_held", "refuse": "policy.intent_refused"}

OUTCOME_COLUMNS = ("seq", "at", "key", "source", "task", "session", "repo", "call_type", "model", "line", "label",
                   "confidence", "gone")  # fmt: skip
EXAMPLE_COLUMNS = ("seq", "at", "id", "line", "category", "outcome", "withdrawn")


class Page(Frozen):
    """Some rows, newest first; `older` is where the next page begins, `looked` says that more may match further on."""

    rows: tuple[dict[str, Any], ...]
    older: int | str | None = None
    looked: int | None = None


class EventPage(Frozen):
    """Some events, newest first, and where the next page begins."""

    events: tuple[Event, ...]
    older: int | None = None


def page_of_events(
    session: Session, kinds: Sequence[str], *, line: str | None = None, before: int | None = None, limit: int = PAGE
) -> EventPage:
    """Return events of these kinds, newest first: each kind by its own stretch of the index, merged."""
    stretches = [_stretch(kind, line, before, limit + 1) for kind in kinds]
    if not stretches:
        return EventPage(events=())
    merged = union_all(*stretches).subquery()
    seqs = list(session.exec(select(merged.c.seq).order_by(merged.c.seq.desc()).limit(limit + 1)).all())
    return EventPage(events=events_by_seq(session, seqs[:limit]), older=seqs[limit - 1] if len(seqs) > limit else None)


def _stretch(kind: str, line: str | None, before: int | None, limit: int) -> Select[Any]:
    query = select(LedgerRow.seq).where(LedgerRow.kind == kind).order_by(col(LedgerRow.seq).desc()).limit(limit)
    if line is not None:
        query = query.where(LedgerRow.line == line)
    if before is not None:
        query = query.where(col(LedgerRow.seq) < before)
    return select(query.subquery().c.seq)


def page_of_outcomes(
    session: Session, where: dict[str, Any], *, before: int | None = None, sources: Sequence[str] = ()
) -> Page:
    """Return outcomes that are as wished; `sources` are the known ones, by which a task is found without its source."""
    query, wished = _columns(OutcomeRow, OUTCOME_COLUMNS), dict(where)
    order: tuple[str, ...] = ("seq",)
    if wished.get("task") is not None:
        names = [wished.pop("source")] if wished.get("source") else list(sources)
        query = query.where(col(OutcomeRow.source).in_(names), OutcomeRow.task == wished.pop("task"))
    elif wished.get("line"):
        query = query.where(OutcomeRow.line == wished.pop("line"))
        order = ("at", "seq")  # as its index has them
    if before is not None:
        query = query.where(_after(session, before, by_time=len(order) > 1))
    return _page(session, query, order, wished)


def _after(session: Session, before: int, *, by_time: bool) -> Any:
    """Return the condition that a row comes after the one with this number, in the page's order."""
    at = session.exec(select(OutcomeRow.at).where(OutcomeRow.seq == before)).first() if by_time else None
    if at is None:
        return col(OutcomeRow.seq) < before
    return tuple_(col(OutcomeRow.at), col(OutcomeRow.seq)) < tuple_(at, before)


def page_of_examples(session: Session, where: dict[str, Any], *, before: int | None = None) -> Page:
    """Return examples of the pool that are as wished."""
    query, wished = _columns(ExampleRow, EXAMPLE_COLUMNS), dict(where)
    if wished.get("outcome") is not None:
        query = query.where(ExampleRow.outcome == wished.pop("outcome"))
    if wished.get("line"):
        query = query.where(ExampleRow.line == wished.pop("line"))
    if before is not None:
        query = query.where(col(ExampleRow.seq) < before)
    return _page(session, query, ("seq",), wished)


def page_of_dataset(session: Session, dataset: str, *, after: str = "") -> Page:
    """Return the examples of a frozen dataset, by their ids."""
    held = select(DatasetExampleRow.example, DatasetExampleRow.part).where(
        DatasetExampleRow.dataset == dataset, col(DatasetExampleRow.example) > after
    )
    parts = dict(session.exec(held.order_by(DatasetExampleRow.example).limit(PAGE + 1)).all())
    names = list(parts)[:PAGE]
    rows = session.execute(_columns(ExampleRow, EXAMPLE_COLUMNS).where(col(ExampleRow.id).in_(names))).mappings()
    known = {row["id"]: dict(row) for row in rows}
    found = tuple({**known.get(name, {"id": name}), "part": parts[name]} for name in names)
    return Page(rows=found, older=names[-1] if len(parts) > PAGE else None)


def page_of_quarantine(session: Session, where: dict[str, Any], *, before: int | None = None) -> Page:
    """Return rows that were refused, with the rule that refused them; never what they held."""
    query = _columns(QuarantineRow, ("seq", "at", "source", "row", "rule", "reason"))
    if before is not None:
        query = query.where(col(QuarantineRow.seq) < before)
    return _page(session, query, ("seq",), dict(where))


def words_of_examples(session: Session, seqs: Sequence[int]) -> dict[int, str]:
    """Return what a few examples ask: the last thing a user said, by their numbers."""
    rows = session.exec(select(ExampleRow.seq, ExampleRow.body).where(col(ExampleRow.seq).in_(list(seqs)))).all()
    return {seq or 0: _asked(body.get("messages") or ()) for seq, body in rows}


def words_of_outcomes(session: Session, seqs: Sequence[int]) -> dict[int, str]:
    """Return what a few outcomes were asked: the last thing a user said, by their numbers."""
    rows = session.exec(select(OutcomeRow.seq, OutcomeRow.body).where(col(OutcomeRow.seq).in_(list(seqs)))).all()
    return {seq or 0: _asked(body.get("messages") or ()) for seq, body in rows}


def _asked(messages: Sequence[Sequence[str]]) -> str:
    return next((str(content) for role, content in reversed(messages) if role == "user"), "")


def _columns(table: type[SQLModel], names: Sequence[str]) -> Select[Any]:
    return sa.select(*(col(getattr(table, name)) for name in names))


def _page(session: Session, query: Select[Any], order: Sequence[str], wished: dict[str, Any]) -> Page:
    """Look through a window of rows in their order, keep what is wished, and say where the next page begins."""
    query = query.order_by(*(query.selected_columns[name].desc() for name in order))
    wished = {name: value for name, value in wished.items() if value not in (None, "")}
    if not wished:
        rows = [dict(row) for row in session.execute(query.limit(PAGE + 1)).mappings()]
        return Page(rows=tuple(rows[:PAGE]), older=rows[PAGE - 1]["seq"] if len(rows) > PAGE else None)
    window = query.limit(WINDOW).subquery()
    filtered = sa.select(window).where(*(_is(window, name, value) for name, value in wished.items()))
    filtered = filtered.order_by(*(window.c[name].desc() for name in order)).limit(PAGE + 1)
    rows = [dict(row) for row in session.execute(filtered).mappings()]
    if len(rows) > PAGE:
        return Page(rows=tuple(rows[:PAGE]), older=rows[PAGE - 1]["seq"])
    end = session.execute(query.offset(WINDOW - 1).limit(1)).mappings().first()
    return Page(rows=tuple(rows), older=end["seq"] if end else None, looked=WINDOW if end else None)


def _is(window: Subquery, name: str, value: Any) -> Any:
    column = window.c[name]
    return column == value if isinstance(value, bool) else cast(column, String) == str(value)


def decided(judgement: str) -> str | None:
    """Return the event that tells of a judgement."""
    return _DECISION.get(judgement)
