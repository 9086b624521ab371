"""Wake-ups: why the daemon should look. They only start a cycle; the truth is read there."""

import asyncio


class Wakeups:
    """Collects reasons until the daemon looks; callable from the loop's thread and, safely, from any other."""

    def __init__(self) -> None:
        """Begin with the reason that the daemon just started."""
        self._event = asyncio.Event()
        self._event.set()
        self._reasons: set[str] = {"start"}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def wake(self, reason: str) -> None:
        """Ask for a look."""
        self._reasons.add(reason)
        self._event.set()

    def wake_from_thread(self, reason: str) -> None:
        """Ask for a look from another thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.wake, reason)

    def wake_in(self, seconds: float, reason: str) -> None:
        """Ask for a look after a while; of several such wishes the soonest counts."""
        due = self._loop.time() + seconds
        if self._timer is not None and not self._timer.cancelled() and self._loop.time() < self._timer.when() <= due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self.wake, reason)

    async def wait(self, seconds: float) -> set[str]:
        """Return the reasons collected, waiting up to `seconds` for the first; empty when none came."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return set()
        self._event.clear()
        reasons, self._reasons = self._reasons, set()
        return reasons
