"""Captured calls and the outcomes they were joined to; each call is at most one outcome, and each outcome one call."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, insert, update
from sqlmodel import Session, col, select

from flywheel.core.frozen import Frozen
from flywheel.store.join_tables import CapturedCallRow, UnjoinedOutcomeRow
from flywheel.store.stores import insert_new
from flywheel.store.tables import AttributionRow, OutcomeRow

_NAMES_A_QUERY = 500
_ROWS_A_QUERY = 2000  # calls that one chunk of answers may bring into question

# fmt: off
_COLUMNS = tuple(col(column) for column in (
    CapturedCallRow.seq, CapturedCallRow.call, CapturedCallRow.session, CapturedCallRow.task, CapturedCallRow.at,
    CapturedCallRow.answer, CapturedCallRow.question,
))
# fmt: on
_JOIN = (
    update(CapturedCallRow)
    .where(col(CapturedCallRow.call) == bindparam("its_call"))
    .values(outcome=bindparam("its_outcome"), rule=bindparam("its_rule"))
)
_ATTRIBUTE = (
    update(AttributionRow).where(col(AttributionRow.call) == bindparam("its_call")).values(task=bindparam("its_task"))
)
_SETTLE = delete(UnjoinedOutcomeRow).where(col(UnjoinedOutcomeRow.key) == bindparam("its_outcome"))


class KnownCall(Frozen):
    """A captured call by the hashes it is found by; `session` and `task` only where the agent named them."""

    call: str
    session: str
    task: str
    at: datetime
    answer: str
    question: str
    seq: int = 0


class Unjoined(Frozen):
    """An outcome that waits for its call."""

    key: str
    session: str
    answer: str
    at: datetime


class Claim(Frozen):
    """A call that is to be joined to an outcome of a task; `rule` names the secret that its prompt holds, if any."""

    call: str
    outcome: str
    task: str
    rule: str = ""


def keep_calls(session: Session, calls: Sequence[KnownCall]) -> int:
    """Remember calls, each once; return how many were new."""
    return insert_new(session, CapturedCallRow, [call.model_dump(exclude={"seq"}) for call in calls])


def has_calls(session: Session) -> bool:
    """Tell whether any call was ever captured."""
    return session.exec(select(CapturedCallRow.seq).limit(1)).first() is not None


def calls_like(
    session: Session, answers: Sequence[str], sessions: Sequence[str], between: tuple[datetime, datetime]
) -> list[KnownCall]:
    """Return the calls in a span of time that are no outcome's yet and gave one of these answers or name a session."""
    found: dict[str, KnownCall] = {}
    for column, names in ((CapturedCallRow.answer, answers), (CapturedCallRow.session, sessions)):
        for chunk in _chunks(names):
            query = select(*_COLUMNS).where(col(column).in_(chunk), col(CapturedCallRow.outcome).is_(None))
            query = query.where(col(CapturedCallRow.at).between(*between)).limit(_ROWS_A_QUERY)
            found.update({row[1]: _known(row) for row in session.execute(query).all()})
    return list(found.values())


def known_sessions(session: Session, names: Sequence[str]) -> frozenset[str]:
    """Return which of these sessions any captured call names."""
    found: set[str] = set()
    for chunk in _chunks(names):
        query = select(CapturedCallRow.session).where(col(CapturedCallRow.session).in_(chunk)).distinct()
        found.update(session.exec(query).all())
    return frozenset(found)


def joins_of(session: Session, outcomes: Sequence[str]) -> dict[str, str]:
    """Return which of these outcomes have their call, each with the rule of the secret in its prompt, mostly none."""
    found: dict[str, str] = {}
    for chunk in _chunks(outcomes if has_calls(session) else ()):
        query = select(CapturedCallRow.outcome, CapturedCallRow.rule)
        query = query.where(col(CapturedCallRow.outcome).in_(chunk))
        found.update({outcome: rule for outcome, rule in session.exec(query).all() if outcome is not None})
    return found


def claim(session: Session, claims: Sequence[Claim]) -> frozenset[str]:
    """Join calls to outcomes and attribute them to the tasks of these; return the outcomes that were joined.

    What was joined before, or is claimed twice, stays as it is.
    """
    free = _free(session, [one.call for one in claims])
    taken = set(joins_of(session, [one.outcome for one in claims]))
    held: list[Claim] = []
    for one in claims:
        if one.call in free and one.outcome not in taken:
            free.discard(one.call)
            taken.add(one.outcome)
            held.append(one)
    if held:
        rows = [{f"its_{name}": value for name, value in one.model_dump().items()} for one in held]
        session.connection().execute(_JOIN, rows)
        session.connection().execute(_ATTRIBUTE, rows)
        session.connection().execute(_SETTLE, rows)
    return frozenset(one.outcome for one in held)


def await_calls(session: Session, outcomes: Iterable[Unjoined]) -> None:
    """Remember outcomes whose call may still come."""
    waiting = {outcome.key: outcome for outcome in outcomes}
    for chunk in _chunks(list(waiting)):
        known = session.exec(select(UnjoinedOutcomeRow.key).where(col(UnjoinedOutcomeRow.key).in_(chunk))).all()
        if new := [waiting[key].model_dump() for key in set(chunk).difference(known)]:
            session.connection().execute(insert(UnjoinedOutcomeRow), new)


def calls_after(session: Session, seq: int, limit: int) -> list[KnownCall]:
    """Return the calls that came after one and are no outcome's yet, in the order they came."""
    query = select(*_COLUMNS).where(col(CapturedCallRow.seq) > seq, col(CapturedCallRow.outcome).is_(None))
    return [_known(row) for row in session.execute(query.order_by(col(CapturedCallRow.seq)).limit(limit)).all()]


def last_call(session: Session) -> int:
    """Return the number of the call that came last."""
    query = select(CapturedCallRow.seq).order_by(col(CapturedCallRow.seq).desc()).limit(1)
    return session.exec(query).first() or 0


def awaiting(session: Session, calls: Sequence[KnownCall], apart: timedelta, alike: timedelta) -> list[str]:
    """Return the outcomes that wait for one of these calls: by its answer, or by its session at about that time."""
    found: dict[str, None] = {}
    answers = {call.answer for call in calls}, col(UnjoinedOutcomeRow.answer), apart
    sessions = {call.session for call in calls}, col(UnjoinedOutcomeRow.session), alike
    for names, column, span in (answers, sessions):
        first, last = min(call.at for call in calls) - span, max(call.at for call in calls) + span
        for chunk in _chunks(sorted(names)):
            query = select(UnjoinedOutcomeRow.key).join(OutcomeRow, col(OutcomeRow.key) == col(UnjoinedOutcomeRow.key))
            query = query.where(column.in_(chunk), col(UnjoinedOutcomeRow.at).between(first, last))
            query = query.where(col(OutcomeRow.gone).is_(False)).limit(_ROWS_A_QUERY)
            found.update(dict.fromkeys(session.exec(query).all()))
    return list(found)


def forget_waiting(session: Session, before: datetime) -> None:
    """Let outcomes from before a moment wait no longer."""
    session.connection().execute(delete(UnjoinedOutcomeRow).where(col(UnjoinedOutcomeRow.at) < before))


def _free(session: Session, calls: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for chunk in _chunks(calls):
        query = select(CapturedCallRow.call).where(col(CapturedCallRow.call).in_(chunk))
        found.update(session.exec(query.where(col(CapturedCallRow.outcome).is_(None))).all())
    return found


def _known(row: Any) -> KnownCall:
    values: Mapping[str, Any] = row._mapping  # noqa: SLF001 - SQLAlchemy's documented way to a row by name
    return KnownCall(**values)


def _chunks(names: Sequence[str]) -> list[Sequence[str]]:
    distinct = sorted({name for name in names if name})
    return [distinct[start : start + _NAMES_A_QUERY] for start in range(0, len(distinct), _NAMES_A_QUERY)]
