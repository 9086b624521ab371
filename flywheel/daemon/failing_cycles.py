"""Notices that cycle after cycle fails: not one that failed, which the next one mends. Pure but for the clock."""

from typing import Literal

from flywheel.core.clocks import Clock

_LEAST = 3
News = Literal["", "failing", "recovered"]


class FailingCycles:
    """Counts failures in a row; it is news once that they last, and once that they are over."""

    def __init__(self, clock: Clock) -> None:
        """Begin with none."""
        self._clock = clock
        self._since: float | None = None
        self._told = False
        self.count = 0
        self.reason = ""

    def failed(self, reason: str, patience_seconds: float) -> News:
        """Note a cycle that failed."""
        now = self._clock.monotonic()
        self._since = now if self._since is None else self._since
        self.count, self.reason = self.count + 1, reason
        return "failing" if not self._told and self.count >= _LEAST and self.minutes * 60 >= patience_seconds else ""

    def worked(self) -> News:
        """Note a cycle that did not fail."""
        news: News = "recovered" if self._told else ""
        if not news:
            self._since, self.count, self.reason = None, 0, ""
        return news

    def told(self, news: News) -> None:
        """Note that news were told; until then they stay news."""
        if news == "failing":
            self._told = True
        elif news == "recovered":
            self._told, self._since, self.count, self.reason = False, None, 0, ""

    @property
    def minutes(self) -> float:
        """Return for how long cycles have been failing."""
        return 0.0 if self._since is None else (self._clock.monotonic() - self._since) / 60
