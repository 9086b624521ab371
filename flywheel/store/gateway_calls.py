"""Gateway calls as the store keeps them, once each: who asked, which adapter answered, on which arm, how it ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import case, func
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from flywheel.core.frozen import Frozen
from flywheel.store.stores import insert_new
from flywheel.store.tables import AttributionRow

#: Speeds are told of so many answers, the newest: what was slow last year says nothing of today.
NEWEST = 10_000

_FAILED = 500
_REFUSED = 400


class GatewayCall(Frozen):
    """A call of the agent through the gateway, joined to the model that answered it; how it ended, where known."""

    call: str
    line: str
    name: str
    arm: str
    task: str
    session: str
    at: datetime
    status: int | None = None
    complete: bool | None = None
    fallback: bool | None = None
    latency_ms: float | None = None
    first_token_ms: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Speed(Frozen):
    """How long the newest whole answers took, in milliseconds: half of them at most `p50`, 95 of 100 at most `p95`."""

    answers: int = 0
    p50: float | None = None
    p95: float | None = None


class Served(Frozen):
    """What the gateway saw of a model on a line.

    `measured` are the calls whose end is known; of these `errors` were answered with a 5xx, `unfinished` ended before
    the whole answer was passed on, mostly because the agent left. `stand_ins` were meant for a model that was away.
    """

    calls: int = 0
    measured: int = 0
    errors: int = 0
    unfinished: int = 0
    stand_ins: int = 0
    arms: dict[str, int] = {}  # noqa: RUF012 - a field of a frozen model, copied for each
    first_at: datetime | None = None
    last_at: datetime | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency: Speed = Speed()
    first_token: Speed = Speed()

    @property
    def error_rate(self) -> float | None:
        """Return the errors among the calls whose end is known."""
        return self.errors / self.measured if self.measured else None


def attribute(session: Session, calls: Sequence[GatewayCall]) -> int:
    """Store calls; return how many were new."""
    return insert_new(session, AttributionRow, [call.model_dump() for call in calls])


def served(session: Session, line: str, name: str, since: datetime | None = None) -> Served:
    """Return what the gateway saw of a model on a line, ever or since a moment."""
    which = _which(line, name, since)
    query = sql_select(col(AttributionRow.arm), *_COUNTS).where(*which).group_by(col(AttributionRow.arm))
    rows = session.connection().execute(query).mappings().all()
    if not rows:
        return Served()
    sums = {key: sum(row[key] or 0 for row in rows) for key in _SUMMED}
    return Served(
        **sums,
        arms={row["arm"]: row["calls"] for row in sorted(rows, key=lambda row: -row["calls"])},
        first_at=min(row["first_at"] for row in rows),
        last_at=max(row["last_at"] for row in rows),
        latency=_speed(session, col(AttributionRow.latency_ms), which),
        first_token=_speed(session, col(AttributionRow.first_token_ms), which),
    )


def _which(line: str, name: str, since: datetime | None) -> list[Any]:
    which = [col(AttributionRow.name) == name, col(AttributionRow.line) == line]
    return which if since is None else [*which, col(AttributionRow.at) >= since]


def _count_if(condition: Any, label: str) -> Any:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0).label(label)


def _speed(session: Session, column: Any, which: Sequence[Any]) -> Speed:
    whole = (col(AttributionRow.complete).is_(True), col(AttributionRow.status) < _REFUSED, column.is_not(None))
    query = select(column).where(*which, *whole).order_by(col(AttributionRow.at).desc()).limit(NEWEST)
    values = sorted(session.exec(query).all())
    if not values:
        return Speed()
    return Speed(answers=len(values), p50=_at(values, 50), p95=_at(values, 95))


def _at(values: Sequence[float], percent: int) -> float:
    """Return the smallest of sorted values that so many of a hundred do not exceed."""
    return round(values[-(-percent * len(values) // 100) - 1], 3)


_FAULT = col(AttributionRow.status) >= _FAILED
_COUNTS = (
    func.count().label("calls"),
    _count_if(col(AttributionRow.complete).is_not(None), "measured"),
    _count_if(_FAULT, "errors"),
    _count_if(col(AttributionRow.complete).is_(False) & func.coalesce(~_FAULT, True), "unfinished"),
    _count_if(col(AttributionRow.fallback).is_(True), "stand_ins"),
    func.min(AttributionRow.at).label("first_at"),
    func.max(AttributionRow.at).label("last_at"),
    func.sum(AttributionRow.prompt_tokens).label("prompt_tokens"),
    func.sum(AttributionRow.completion_tokens).label("completion_tokens"),
)
_SUMMED = ("calls", "measured", "errors", "unfinished", "stand_ins", "prompt_tokens", "completion_tokens")
