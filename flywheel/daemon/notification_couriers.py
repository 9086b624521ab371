"""Takes notices from the ledger to whoever wants to hear of them: in order, at least once, beside the cycle.

Each address has a cursor, which moves when the address took a notice, and a courier of its own, so that one that hangs
keeps nobody waiting. A crash between the taking and the moving repeats a notice, under the same delivery id.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import structlog

from flywheel.core.clocks import Clock
from flywheel.core.errors import TemporaryError
from flywheel.core.events import Event
from flywheel.core.frozen import Frozen
from flywheel.daemon.notification_kinds import Notice, events_of, notice_of
from flywheel.daemon.notification_settings import NotifySettings
from flywheel.daemon.notification_ways import UndeliveredError, deliver
from flywheel.store.counters import cursor, keep_cursors, move_cursor
from flywheel.store.ledger import append, last_event, next_event
from flywheel.store.stores import Store

log = structlog.get_logger()

PREFIX = "notify:"
POLL_SECONDS = 5.0
FIRST_REST, LONGEST_REST = 5.0, 900.0
_FAULT_SECONDS = 30.0
_DROPPED_AT_ONCE = 1000


class Standing(Frozen):
    """How far an address has heard, and how it went: `failures` in a row, with the last one's reason."""

    seq: int = 0
    delivered: int = 0
    delivered_at: str = ""
    failures: int = 0
    reason: str = ""
    failing_since: str = ""


def standing_of(body: dict[str, Any]) -> Standing | None:
    """Return a cursor's standing, None for an address that has none yet."""
    return Standing.model_validate(body) if body else None


def rest_after(failures: int, asked: float = 0.0) -> float:
    """Return how long to wait after so many failures in a row: doubling, up to a quarter of an hour."""
    return max(min(FIRST_REST * 2.0 ** min(failures - 1, 20), LONGEST_REST), asked)


class Courier:
    """Serves one address."""

    def __init__(self, store: Store, clock: Clock, target: NotifySettings) -> None:
        """Serve this address from this ledger."""
        self.target = target
        self._store = store
        self._clock = clock
        self._woken = asyncio.Event()
        self._events = events_of(target.kinds)
        self._passed = 0  # events up to here are no concern of this address, or were taken

    def wake(self) -> None:
        """Ask for a look."""
        self._woken.set()

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            try:
                seconds = await self.step()
            except TemporaryError as error:
                seconds = error.delay
            except Exception:
                # The supervised edge: a fault in telling must not end the telling, and never reaches the cycle.
                log.exception("daemon.courier_failed", target=self.target.name)
                seconds = _FAULT_SECONDS
            if seconds > POLL_SECONDS:
                await asyncio.sleep(seconds)  # an address that refuses is not hurried by news
            elif seconds:
                await self._wait(seconds)

    async def step(self) -> float:
        """Deliver what is next, if anything; return how long to wait before the next look."""
        notice = await asyncio.to_thread(self._next)
        if notice is None:
            return POLL_SECONDS
        try:
            await deliver(self.target, notice, self._clock)
        except UndeliveredError as error:
            failures = await asyncio.to_thread(self._refused, notice, error.message)
            return rest_after(failures, error.delay) if failures else 0.0
        await asyncio.to_thread(self._taken, notice)
        return 0.0

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # not wait_for: that may swallow a cancellation
                await self._woken.wait()
        self._woken.clear()

    def _next(self) -> Notice | None:
        with self._store.read() as session:
            known = standing_of(cursor(session, PREFIX + self.target.name))
            if known is None:
                return None  # it has not begun: nothing of the past is told
            after = max(self._passed, known.seq)
            while (event := next_event(session, self._events, after)) is not None and not self._concerns(event):
                after = event.seq or after
        self._passed = after
        return notice_of(event) if event is not None else None

    def _concerns(self, event: Event) -> bool:
        return not self.target.lines or not event.line or event.line in self.target.lines

    def _taken(self, notice: Notice) -> None:
        at = self._clock.now().isoformat(timespec="seconds")
        with self._store.write() as session:
            known = standing_of(cursor(session, PREFIX + self.target.name)) or Standing()
            now = Standing(seq=notice.seq or known.seq, delivered=known.delivered + 1, delivered_at=at)
            move_cursor(session, PREFIX + self.target.name, now.model_dump())
        if known.failures:
            log.info("daemon.notices_taken_again", target=self.target.name, after_failures=known.failures)

    def _refused(self, notice: Notice, reason: str) -> int:
        """Note a failure; return how many there were in a row, none when what was too old was given up."""
        now = self._clock.now()
        oldest = now - timedelta(hours=self.target.give_up_hours)
        with self._store.write() as session:
            known = standing_of(cursor(session, PREFIX + self.target.name)) or Standing()
            changed = known.model_copy(
                update={
                    "failures": known.failures + 1,
                    "reason": reason,
                    "failing_since": known.failing_since or now.isoformat(timespec="seconds"),
                }
            )
            last, count = notice.seq or 0, 0
            event: Event | None = next_event(session, self._events, last - 1)
            while event is not None and event.at < oldest and count < _DROPPED_AT_ONCE:
                last, count = event.seq or last, count + self._concerns(event)
                event = next_event(session, self._events, last)
            if count:
                changed = changed.model_copy(update={"seq": last})
                append(session, self._given_up(notice, count, reason), key=f"given-up:{self.target.name}:{last}")
            move_cursor(session, PREFIX + self.target.name, changed.model_dump())
        if not known.failures:
            log.warning("daemon.notice_refused", target=self.target.name, kind=notice.kind, reason=reason)
        return 0 if count and event is not None else changed.failures

    def _given_up(self, notice: Notice, count: int, reason: str) -> Event:
        told = f"{count} notification{'s' * (count != 1)} to {self.target.name} given up: {reason}"
        body = {"sentence": told, "count": count, "first": notice.seq, "reason": reason}
        return Event(
            kind="daemon.notices_dropped",
            at=self._clock.now(),
            subject=self.target.name,
            cause=notice.seq,
            body=body,
        )


class Couriers:
    """All addresses of the settings; none costs nothing."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Serve from this ledger; nobody is served before `use`."""
        self._store = store
        self._clock = clock
        self._tasks: dict[Courier, asyncio.Task[None]] = {}

    async def use(self, targets: Iterable[NotifySettings]) -> None:
        """Serve these addresses and no others; a new one begins with what happens from now on."""
        await self.close()
        wanted = tuple(targets)
        await asyncio.to_thread(self._begin, [target.name for target in wanted])
        couriers = [Courier(self._store, self._clock, target) for target in wanted]
        self._tasks = {courier: asyncio.create_task(courier.run()) for courier in couriers}

    def wake(self) -> None:
        """Tell every courier that there may be news."""
        for courier in self._tasks:
            courier.wake()

    async def tell_at_once(self, notice: Notice) -> None:
        """Try once to tell what cannot be written to the ledger, because that is what fails."""
        wanted = [courier.target for courier in self._tasks if notice.kind in courier.target.kinds]
        tries = (deliver(target, notice, self._clock) for target in wanted)
        for target, ended in zip(wanted, await asyncio.gather(*tries, return_exceptions=True), strict=True):
            if isinstance(ended, Exception):
                log.warning("daemon.notice_refused", target=target.name, kind=notice.kind, reason=str(ended))

    async def close(self) -> None:
        """Stop; what is on its way is told again by the next one."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, names: list[str]) -> None:
        with self._store.read() as session:
            stale = [name for name in names if not cursor(session, PREFIX + name)]
            last = last_event(session)
            known = bool(cursor(session, _KNOWN))
        if not (names or known):
            return
        with self._store.write() as session:
            keep_cursors(session, PREFIX, [PREFIX + name for name in names])
            for name in stale:
                move_cursor(session, PREFIX + name, Standing(seq=last.seq or 0 if last else 0).model_dump())
            move_cursor(session, _KNOWN, {"names": names} if names else {})


_KNOWN = "daemon:notify"  # whether there ever were addresses: without any, nothing is written
