"""Numbers as people read them."""

from datetime import datetime

from flywheel.store.attributions import Successes
from flywheel.web.intervals import rate_bounds

_UNSURE = 0.025  # on either side: together the interval holds the true rate 95 times in 100
_MINUTES, _HOURS = 120, 7200


def percent(value: float | None) -> str:
    """Return a share."""
    return "" if value is None else f"{100 * value:.1f} %"


def points_between(value: float | None, low: float | None, high: float | None) -> str:
    """Return a difference in points, with its interval where it has one."""
    if value is None:
        return ""
    return f"{100 * value:+.1f}" + ("" if low is None or high is None else f" ({100 * low:+.1f} to {100 * high:+.1f})")


def interval(ended: Successes) -> tuple[float, float]:
    """Return between which rates the true one lies, 95 times in 100."""
    return rate_bounds(ended.successes, ended.tasks, _UNSURE)


def success_words(ended: Successes) -> str:
    """Return how tasks ended, as in 81 % of 120 tasks (73 to 88)."""
    if not ended.tasks:
        return ""
    low, high = interval(ended)
    rate = 100 * ended.successes / ended.tasks
    return f"{rate:.0f} % of {ended.tasks:,} tasks ({100 * low:.0f} to {100 * high:.0f})"


def span(seconds: float) -> str:
    """Return how long something takes."""
    if seconds < _MINUTES:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < _HOURS else f"{seconds / 3600:.1f} h"


def lasted(begin: datetime, end: datetime | None) -> str | None:
    """Return how long something took that has ended."""
    return None if end is None else span((end - begin).total_seconds())


def number(value: object) -> str:
    """Return any number, short and true to four digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)
