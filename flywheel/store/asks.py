"""What waits for a person, what may be asked of a line, and what became of what was asked."""

from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from flywheel.core.frozen import Frozen
from flywheel.core.releases import Release, ReleaseState, approval_words
from flywheel.core.requests import Request
from flywheel.store.counters import cursor
from flywheel.store.pauses import Pause, paused_lines
from flywheel.store.releases import Judged, judged, releases
from flywheel.store.tables import RequestRow
from flywheel.store.wishes import Wish, ask

_OVER = frozenset({ReleaseState.RETIRED, ReleaseState.SUPERSEDED, ReleaseState.REJECTED, ReleaseState.ROLLED_BACK})
_STATUS = "daemon:status"
_BACK = 3  # releases that are over and may still be asked for, the newest


class LineDesk(Frozen):
    """A line as somebody who may act sees it: its releases with their verdicts, its pause, what was asked lately."""

    line: str
    releases: tuple[Release, ...]
    verdicts: dict[str, Judged]
    pause: Pause | None
    requests: tuple[Request, ...]
    waits: tuple[str, ...] = ()

    @property
    def for_a_person(self) -> tuple[Release, ...]:
        """Return the releases that the daemon says wait for a person."""
        return tuple(one for one in self.releases if any(approval_words(one.name) in wait for wait in self.waits))


def line_desk(session: Session, line: str) -> LineDesk:
    """Return what there is to decide about a line, newest releases first."""
    known = list(reversed(releases(session, line)))
    over = [one for one in known if one.state in _OVER][:_BACK]
    shown = tuple(one for one in known if one.state not in _OVER or one in over)
    said: dict[str, Any] = cursor(session, _STATUS)
    verdicts = {one.name: verdict for one in shown if (verdict := judged(session, one)) is not None}
    return LineDesk(
        line=line,
        releases=shown,
        verdicts=verdicts,
        pause=paused_lines(session).get(line),
        requests=tuple(lately_asked(session, line, limit=10)),
        waits=tuple(said.get("waits", {}).get(line, ())),
    )


def lately_asked(session: Session, line: str | None = None, limit: int = 50) -> list[Request]:
    """Return what people asked lately, newest first: what is open, then what was answered."""
    found: list[Request] = []
    for states in (("open",), ("satisfied", "refused")):
        query = select(RequestRow).where(col(RequestRow.state).in_(states))
        query = query if line is None else query.where(RequestRow.line == line)
        rows = session.exec(query.order_by(col(RequestRow.at).desc()).limit(limit)).all()
        found += [Request(**row.model_dump()) for row in rows]
    return sorted(found, key=lambda one: one.at, reverse=True)[:limit]


def ask_once(session: Session, line: str, wish: Wish, by: str, now: datetime) -> Request:
    """Write a wish down, or return the open request that says the same: a form that is sent twice asks once."""
    same = select(RequestRow).where(
        RequestRow.state == "open", RequestRow.kind == wish.kind, RequestRow.subject == wish.subject
    )
    row = session.exec(same.limit(1)).first()
    return Request(**row.model_dump()) if row else ask(session, line, wish, by, now)
