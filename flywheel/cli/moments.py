"""A moment as people type it: so long ago, or a date."""

from datetime import UTC, datetime, timedelta

from flywheel.core.errors import MisuseError

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment_of(text: str, now: datetime | None = None, option: str = "--since") -> datetime:
    """Return the moment that `30m`, `2h`, `3d`, `1w` or `2026-01-31` stands for, as aware UTC."""
    try:
        if text[-1:] in _UNITS and text[:-1].isdecimal():
            return (now or datetime.now(UTC)) - timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
        parsed = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise MisuseError(f"{option} {text!r} is not a time", "write 30m, 2h, 3d or 2026-01-31") from error
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
