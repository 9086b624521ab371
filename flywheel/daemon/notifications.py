"""What the daemon's loop says to those who tell people: a cycle ended, a cycle failed, other settings are in force."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import structlog

from flywheel.core.clocks import Clock
from flywheel.core.errors import TemporaryError
from flywheel.core.events import Event
from flywheel.daemon.cycles import CycleReport
from flywheel.daemon.failing_cycles import FailingCycles, News
from flywheel.daemon.notification_couriers import Couriers
from flywheel.daemon.notification_kinds import notice_of
from flywheel.daemon.settings import Settings
from flywheel.daemon.standstills import Standstills
from flywheel.store.ledger import append
from flywheel.store.stores import Store

log = structlog.get_logger()

_KINDS = {"failing": "daemon.cycles_failed", "recovered": "daemon.cycles_recovered"}


class Notifications:
    """Writes down what only the loop can see, and has it and everything else told. Nothing here stops a cycle."""

    def __init__(self, store: Store, clock: Clock, settings: Settings, echo: Callable[[], None]) -> None:
        """Begin; nobody is told before `use`. `echo` is called whenever the ledger holds something new."""
        self._store = store
        self._clock = clock
        self._settings = settings
        self._echo = echo
        self._couriers = Couriers(store, clock)
        self._standstills = Standstills(store, clock)
        self._failing = FailingCycles(clock)
        self._urgent: set[asyncio.Task[None]] = set()

    async def use(self, settings: Settings) -> None:
        """Tell the addresses of these settings."""
        self._settings = settings
        try:
            await self._couriers.use(settings.notify)
        except TemporaryError as error:
            log.warning("daemon.couriers_not_started", reason=str(error))

    async def cycle_ended(self, report: CycleReport) -> None:
        """Take note of a cycle that came to its end."""
        patience = timedelta(hours=self._settings.daemon.stuck_hours)
        if await asyncio.to_thread(self._standstills.look, report, patience):
            self._echo()
        if report.broken:
            await self.cycle_failed(report.broken[0])
        else:
            await self._note(self._failing.worked())
        self._couriers.wake()

    async def cycle_failed(self, reason: str) -> None:
        """Take note of a cycle that did not."""
        await self._note(self._failing.failed(reason, self._settings.daemon.failing_minutes * 60))

    async def close(self) -> None:
        """Stop telling."""
        for task in self._urgent:
            task.cancel()
        await asyncio.gather(*self._urgent, return_exceptions=True)
        await self._couriers.close()

    async def _note(self, news: News) -> None:
        if not news:
            return
        event = self._event(news)
        try:
            await asyncio.to_thread(self._write, event)
        except TemporaryError:
            if news != "failing":
                return  # the store says another time that it is well
            self._tell_at_once(event)
        else:
            self._echo()
            self._couriers.wake()
        self._failing.told(news)

    def _tell_at_once(self, event: Event) -> None:
        """Tell beside the ledger what cannot be written to it: that it cannot is what a person must know."""
        task = asyncio.create_task(self._couriers.tell_at_once(notice_of(event)))
        self._urgent.add(task)
        task.add_done_callback(self._urgent.discard)

    def _event(self, news: News) -> Event:
        count, minutes = self._failing.count, self._failing.minutes
        sentence = {
            "failing": f"cycles have been failing for {minutes:.0f} minutes: {self._failing.reason}",
            "recovered": f"cycles succeed again, after {count} that failed in {minutes:.0f} minutes",
        }[news]
        body = {"sentence": sentence, "count": count, "minutes": round(minutes, 1), "reason": self._failing.reason}
        return Event(kind=_KINDS[news], at=self._clock.now(), body=body)

    def _write(self, event: Event) -> None:
        with self._store.write() as session:
            append(session, event)
