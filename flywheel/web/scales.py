"""Where a number or a moment stands in a picture, and which marks its axis gets. Pure."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: Steps between marks of time that people count in, in seconds; longer ones are whole numbers of days.
_STEPS = (
    _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR,
    _DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY, 90 * _DAY, 365 * _DAY,
)  # fmt: skip


class Scale:
    """From numbers to places: `low` stands at `begin`, `high` at `end`; what lies outside stands at the edge."""

    def __init__(self, low: float, high: float, begin: float, end: float) -> None:
        """Leave room where there is only one number."""
        if high <= low:
            low, high = low - 0.5, high + 0.5
        self.low, self.high, self.begin, self.end = low, high, begin, end

    def __call__(self, value: float) -> float:
        """Return where a number stands."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.begin + share * (self.end - self.begin), 1)


class TimeScale:
    """The same for moments."""

    def __init__(self, moments: Sequence[datetime], begin: float, end: float) -> None:
        """Reach from the first moment to the last, an hour at least."""
        self.first, self.last = min(moments), max(moments)
        if self.last - self.first < timedelta(hours=1):
            self.first = self.last - timedelta(hours=1)
        self._scale = Scale(self.first.timestamp(), self.last.timestamp(), begin, end)

    def __call__(self, at: datetime) -> float:
        """Return where a moment stands."""
        return self._scale(at.timestamp())

    def marks(self, most: int = 6) -> list[tuple[datetime, str]]:
        """Return moments worth a mark, whole in what people count in, each with its words."""
        seconds = (self.last - self.first).total_seconds()
        step = next((one for one in _STEPS if seconds / one <= most), math.ceil(seconds / most / _DAY) * _DAY)
        begin = math.ceil(self.first.timestamp() / step) * step
        places = [begin + step * place for place in range(int((self.last.timestamp() - begin) // step) + 1)]
        form = "%H:%M" if step < _DAY else "%Y-%m-%d" if seconds > 300 * _DAY else "%d %b"
        found = [datetime.fromtimestamp(place, UTC) for place in places]
        return [(at, at.strftime("%d %b" if step < _DAY and not (at.hour or at.minute) else form)) for at in found]


def number_marks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers from `low` to `high`, at most so many and one more."""
    if high <= low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(one * power for one in (1, 2, 5, 10) if one * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(place * step, 12) for place in range(first, math.floor(high / step + 1e-9) + 1)]


def short_number(value: float) -> str:
    """Return a number as an axis says it: 1200 is 1.2k."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
