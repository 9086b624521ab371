"""Schedules: APScheduler says when, a key in the store says once."""

import contextlib
from collections.abc import Callable
from datetime import datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from flywheel.core.clocks import Clock
from flywheel.core.errors import SettingsError, TemporaryError
from flywheel.store.counters import fire_once
from flywheel.store.stores import Store


class Schedules:
    """Wakes the daemon at set times. A firing that another process already took is not repeated."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Keep the keys in this store."""
        self._store = store
        self._clock = clock
        self._scheduler = AsyncIOScheduler(timezone="UTC", job_defaults={"coalesce": True, "misfire_grace_time": 3600})

    def every(self, seconds: float, name: str, action: Callable[[str], None]) -> None:
        """Call `action` at an interval; a plain heartbeat, which may be missed or repeated."""
        self._scheduler.add_job(action, IntervalTrigger(seconds=seconds), args=[name], id=name)

    def at(self, cron: str, name: str, action: Callable[[str], None]) -> None:
        """Call `action` once for each moment of a cron line (UTC), however many daemons there are."""
        try:
            trigger = CronTrigger.from_crontab(cron, timezone="UTC")
        except ValueError as error:
            raise SettingsError(
                f"schedule {name!r}: {cron!r} is not a cron line ({error})", "five fields, as in crontab(5)"
            ) from error
        self._scheduler.add_job(self._once, trigger, args=[name, action], id=name)

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def stop(self) -> None:
        """End."""
        self._scheduler.shutdown(wait=False)

    def _once(self, name: str, action: Callable[[str], None]) -> None:
        now, first = self._clock.now(), True
        # Where the store cannot say whether it is the first, twice is better than never: the next would be in a day.
        with contextlib.suppress(TemporaryError), self._store.write() as session:
            first = fire_once(session, firing_key(name, now), now)
        if first:
            action(name)


def firing_key(name: str, at: datetime) -> str:
    """Return the key of a schedule's firing: cron fires at most once a minute."""
    return f"{name}@{at:%Y-%m-%dT%H:%M}"
