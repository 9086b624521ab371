"""The hours in which a GPU may train: as the settings say, else as the agent's calls show, else always."""

from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta

from flywheel.core.clocks import Clock
from flywheel.core.errors import SettingsError
from flywheel.core.frozen import Frozen
from flywheel.serve.idle_hours import IdleHours, Rules, learn

_AGAIN = timedelta(hours=1)

Counts = Callable[[datetime], Mapping[datetime, int]]


class IdleWindow(Frozen):
    """The hours in which a GPU may train, in local time; none means always."""

    begin: time | None = None
    end: time | None = None

    @classmethod
    def parse(cls, text: str | None) -> "IdleWindow":
        """Read `22:00-06:00`."""
        if text is None:
            return cls()
        try:
            begin, _, end = text.partition("-")
            return cls(begin=time.fromisoformat(begin), end=time.fromisoformat(end))
        except ValueError as error:
            raise SettingsError(f"daemon.idle_window {text!r} is not a window", "write it as 22:00-06:00") from error

    def holds(self, now: datetime) -> bool:
        """Tell whether a moment lies in the window, which may pass midnight; from an hour to itself is a whole day."""
        if self.begin is None or self.end is None or self.begin == self.end:
            return True
        local = now.astimezone().time()
        if self.begin <= self.end:
            return self.begin <= local < self.end
        return local >= self.begin or local < self.end


class IdleTimes:
    """Tells whether the hour is idle; what is learned is learned anew every hour."""

    def __init__(self, clock: Clock, window: IdleWindow, counts: Counts | None) -> None:
        """Go by the window; where none is set, learn from the calls by hour, if they may be learned from."""
        self._clock = clock
        self._window = window
        self._counts = counts if window.begin is None else None
        self._learned: IdleHours | None = None
        self._learned_at: datetime | None = None

    def is_idle(self) -> bool:
        """Tell whether a GPU may train now."""
        now = self._clock.now()
        if self._counts is None:
            return self._window.holds(now)
        learned = self._hours(now, self._counts)
        return True if learned is None else learned.holds(now)

    def _hours(self, now: datetime, counts: Counts) -> IdleHours | None:
        if self._learned_at is None or not self._learned_at <= now < self._learned_at + _AGAIN:
            rules = Rules()
            self._learned = learn(counts(now - timedelta(weeks=rules.weeks + 1)), now, rules)
            self._learned_at = now
        return self._learned
