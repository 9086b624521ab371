"""Learns from the agent's own calls which hours of the week are idle. Pure.

The week has 168 hours, in local time. An hour is idle when in the weeks looked at it got hardly any calls: at most a
twentieth of what an average hour got. A single quiet hour between busy ones is a pause, not a time to train. From less
than two whole weeks, or few calls, nothing is learned.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, tzinfo

from flywheel.core.frozen import Frozen

HOURS = 168
_HOUR = timedelta(hours=1)
_WEEK = timedelta(weeks=1)


class Rules(Frozen):
    """How much must be known, and what counts as idle."""

    weeks: int = 4
    least_weeks: int = 2
    least_calls: int = 200
    hardly: float = 0.05
    shortest: int = 2


class IdleHours(Frozen):
    """The idle hours of a week, counted from Monday 00:00, local time."""

    hours: frozenset[int]

    def holds(self, now: datetime, zone: tzinfo | None = None) -> bool:
        """Tell whether a moment lies in an idle hour."""
        return hour_of_week(now, zone) in self.hours


def hour_of_week(moment: datetime, zone: tzinfo | None = None) -> int:
    """Return which of the week's 168 hours a moment lies in; without a zone, by this machine's."""
    local = moment.astimezone(zone)
    return local.weekday() * 24 + local.hour


def learn(
    counts: Mapping[datetime, int], now: datetime, rules: Rules | None = None, zone: tzinfo | None = None
) -> IdleHours | None:
    """Return the idle hours that the calls by hour show; None while there is too little to learn from.

    `counts` maps the beginning of an hour (UTC) to its calls; hours without calls may be left out.
    """
    rules = rules or Rules()
    since = _beginning(counts, now, rules)
    if since is None:
        return None
    calls = [0] * HOURS
    for hour, count in counts.items():
        if since <= hour < now:
            calls[hour_of_week(hour, zone)] += count
    total = sum(calls)
    if total < rules.least_calls:
        return None
    idle = {hour for hour in range(HOURS) if calls[hour] <= rules.hardly * total / HOURS}
    return IdleHours(hours=frozenset(_long_enough(idle, rules.shortest)))


def _beginning(counts: Mapping[datetime, int], now: datetime, rules: Rules) -> datetime | None:
    """Return from when on whole weeks are looked at; None when there are too few of them."""
    first = min((hour for hour, count in counts.items() if count > 0 and hour < now), default=None)
    if first is None:
        return None
    weeks = min((now - first) // _WEEK, rules.weeks)
    return now - weeks * _WEEK if weeks >= rules.least_weeks else None


def _long_enough(idle: Iterable[int], shortest: int) -> Iterable[int]:
    """Return the hours that stand in a stretch of at least so many; Sunday night goes over into Monday."""
    known = set(idle)
    for hour in known:
        before = next((n for n in range(shortest) if (hour - n - 1) % HOURS not in known), shortest)
        after = next((n for n in range(shortest) if (hour + n + 1) % HOURS not in known), shortest)
        if before + after + 1 >= shortest:
            yield hour
