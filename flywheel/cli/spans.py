"""How the command line speaks of numbers: how long, how long ago, how far. Pure."""

from datetime import datetime

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_FULL, _EMPTY = "█", "░"


def span(seconds: float) -> str:
    """Return how long something takes."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h" if seconds < 2 * _DAY else f"{seconds / _DAY:.0f} days"


def ago(then: datetime, now: datetime) -> str:
    """Return how long ago something was; a clock that runs ahead makes nothing happen in the future."""
    seconds = max(0.0, (now - then).total_seconds())
    return "just now" if seconds < 1 else f"{span(seconds)} ago"


def bar(part: float, width: int = 20) -> str:
    """Return how far something is, from 0 to 1, as a bar; only what is whole looks whole."""
    filled = min(int(max(0.0, part) * width), width)
    return _FULL * filled + _EMPTY * (width - filled)


def percent(share: float) -> str:
    """Return a share of a whole."""
    return f"{share * 100:.3g} %"


def plural(count: int, noun: str) -> str:
    """Return so many of something."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
