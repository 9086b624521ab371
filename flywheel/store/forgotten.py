"""What must never come back: asked for every outcome before it is stored.

Names and contents are remembered as hashes keyed by a secret of this store, so that nobody who does not hold the store
can try guesses against them, and nobody at all can read them.
"""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete
from sqlmodel import Session, col, select

from flywheel.core.examples import prompt_key
from flywheel.core.ids import content_hash
from flywheel.core.outcomes import Outcome
from flywheel.store.counters import cursor, move_cursor
from flywheel.store.evidence_tables import ForgottenRow
from flywheel.store.join_tables import CapturedCallRow
from flywheel.store.stores import insert_new
from flywheel.store.tables import AttributionRow

_SALT = "forget:salt"
_SWEPT = "forget:swept"
_NAMES_A_QUERY = 500


def not_forgotten(session: Session, outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes that may be stored."""
    given = list(outcomes)
    if session.exec(select(ForgottenRow.hash).limit(1)).first() is None:
        return given
    salt = salt_of(session)
    marks = [_marks(salt, outcome) for outcome in given]
    known = known_hashes(session, sorted({one for several in marks for one in several}))
    kept = [outcome for outcome, several in zip(given, marks, strict=True) if known.isdisjoint(several)]
    if len(kept) < len(given):
        _remember_sessions(session, salt, known, given)
    return kept


def remember(session: Session, marks: Iterable[tuple[str, str]], at: datetime, request: str) -> None:
    """Remember what must not come back: kind (`outcome`, `content`, `session`, `repo`) and name of each."""
    salt = salt_of(session)
    rows = [{"hash": mark(salt, kind, name), "kind": kind, "at": at, "request": request} for kind, name in marks]
    insert_new(session, ForgottenRow, rows)


def known_hashes(session: Session, hashes: Sequence[str]) -> frozenset[str]:
    """Return which of these hashes are remembered."""
    found: set[str] = set()
    for start in range(0, len(hashes), _NAMES_A_QUERY):
        chosen = col(ForgottenRow.hash).in_(hashes[start : start + _NAMES_A_QUERY])
        found.update(session.exec(select(ForgottenRow.hash).where(chosen)).all())
    return frozenset(found)


def remembers(session: Session, *kinds: str) -> bool:
    """Tell whether anything of these kinds is remembered."""
    query = select(ForgottenRow.hash).where(col(ForgottenRow.kind).in_(kinds)).limit(1)
    return session.exec(query).first() is not None


def salt_of(session: Session) -> str:
    """Return the store's secret, made when it is first needed."""
    held = cursor(session, _SALT).get("salt")
    if not held:
        held = secrets.token_hex(32)
        move_cursor(session, _SALT, {"salt": held})
    return str(held)


def mark(salt: str, kind: str, name: str) -> str:
    """Return the hash under which a name or content is remembered."""
    return content_hash([salt, kind, name])


def content_of(question: str, answer: str) -> str:
    """Return the name of a content: an answer to a question, wherever it was given."""
    return content_hash([question, answer])


def _remember_sessions(session: Session, salt: str, known: frozenset[str], outcomes: Iterable[Outcome]) -> None:
    """Remember the sessions of a forgotten repo as they come: the gateway knows sessions, not repos."""
    found = {one.session: one.at for one in outcomes if one.session and mark(salt, "repo", one.group) in known}
    for name, at in sorted(found.items()):
        remember(session, [("session", name)], at, "")


def _marks(salt: str, outcome: Outcome) -> list[str]:
    names = {"outcome": outcome.key, "content": content_of(prompt_key(outcome.messages), outcome.response)}
    places = {"session": outcome.session, "repo": outcome.group}
    return [mark(salt, kind, name) for kind, name in {**names, **places}.items() if name]


def sessions_to_sweep(session: Session) -> bool:
    """Tell whether calls came since the capture was swept, and sessions were forgotten whose calls they could be."""
    if not remembers(session, "session"):
        return False
    return _last_call(session) > _swept_until(session)


def forgotten_sessions(session: Session) -> tuple[list[str], int]:
    """Return which sessions of the calls that came since are forgotten ones, and how far that looks."""
    until = _last_call(session)
    query = select(AttributionRow.session).where(
        col(AttributionRow.seq) > _swept_until(session), col(AttributionRow.seq) <= until
    )
    names = sorted({name for name in session.exec(query.distinct()).all() if name})
    salt = salt_of(session)
    marks = {mark(salt, "session", name): name for name in names}
    return [marks[found] for found in sorted(known_hashes(session, sorted(marks)))], until


def swept(session: Session, sessions: Sequence[str], until: int) -> None:
    """Let who answered these sessions be forgotten, too, and remember how far the capture was swept."""
    for start in range(0, len(sessions), _NAMES_A_QUERY):
        chunk = sessions[start : start + _NAMES_A_QUERY]
        for table in (AttributionRow, CapturedCallRow):
            session.connection().execute(delete(table).where(col(table.session).in_(chunk)))
    move_cursor(session, _SWEPT, {"seq": until})


def _last_call(session: Session) -> int:
    return session.exec(select(AttributionRow.seq).order_by(col(AttributionRow.seq).desc()).limit(1)).first() or 0


def _swept_until(session: Session) -> int:
    return int(str(cursor(session, _SWEPT).get("seq", 0)))
