"""The daemon's process: waits for a reason to look, looks, says one sentence, and waits again."""

import asyncio
import contextlib
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from flywheel.core.clocks import SystemClock
from flywheel.core.errors import FlywheelError, TemporaryError
from flywheel.core.events import Event
from flywheel.daemon.cycles import CycleReport
from flywheel.daemon.heartbeats import BEAT_SECONDS, beat
from flywheel.daemon.houses import Ground, House, build_house, ground
from flywheel.daemon.locks import only_daemon
from flywheel.daemon.notices import Notifier, watchdog_seconds
from flywheel.daemon.notifications import Notifications
from flywheel.daemon.schedules import Schedules
from flywheel.daemon.settings import Settings, load_settings
from flywheel.daemon.tidyings import TIDY, ask_to_tidy
from flywheel.daemon.wakeups import Wakeups
from flywheel.daemon.web_children import WebChild
from flywheel.daemon.works import WorkLimits, Works
from flywheel.policy.problems import PolicyError
from flywheel.store.counters import cursor, move_cursor
from flywheel.store.ledger import append, last_event
from flywheel.watch.hints import REASON as HINT
from flywheel.watch.hints import Hints

log = structlog.get_logger()

STATUS = "daemon:status"
_ALERT_SECONDS = 0.6  # after a hint: longer than a disk takes to make a commit durable
_ALERT_POLL_SECONDS = 0.025


async def serve(config: Path | None) -> None:
    """Run until SIGTERM or SIGINT; the step under way is finished first."""
    settings = load_settings(config)
    with only_daemon(settings.home, settings.store_url):
        base = ground(settings, SystemClock())
        try:
            async with _daemon(base, settings, config) as daemon:
                await daemon.run()
        finally:
            base.close()


async def cycle_once(settings: Settings, *, dry_run: bool = False) -> CycleReport:
    """Run one cycle, with the work it needs started or followed up, and leave; a dry run leaves no trace."""
    if dry_run:
        with _store_to_look_at(settings) as url:
            return await _cycle(settings.model_copy(update={"store": url}), dry_run=True)
    with only_daemon(settings.home, settings.store_url):
        return await _cycle(settings, dry_run=False)


async def _cycle(settings: Settings, *, dry_run: bool) -> CycleReport:
    base = ground(settings, SystemClock())
    house = build_house(settings, base)
    works = Works(base.store, base.clock, base.steps, work_limits(settings), lambda _: None)
    try:
        report = await house.cycle.run(dry_run=dry_run)
        if not dry_run:
            works.tend()
            await asyncio.sleep(0.5)  # long enough for a child to be started and recorded
        return report
    finally:
        await works.leave()
        house.close()
        base.close()


@contextlib.contextmanager
def _store_to_look_at(settings: Settings) -> Iterator[str]:
    """Give the store's URL, or that of an empty one for the moment: looking does not make a store."""
    path = settings.store_url.removeprefix("sqlite:///")
    if path == settings.store_url or Path(path).exists():
        yield settings.store_url
        return
    with tempfile.TemporaryDirectory(prefix="flywheel-dry-run-") as folder:
        yield f"sqlite:///{folder}/flywheel.db"


def work_limits(settings: Settings) -> WorkLimits:
    """Return the limits of long work that the settings ask for."""
    from datetime import timedelta

    section = settings.daemon
    return WorkLimits(
        lease=timedelta(seconds=section.job_lease_seconds),
        longest=timedelta(hours=section.job_hours),
        attempts=section.job_attempts,
        nice=section.nice,
        takes_turns=settings.gpu.takes_turns,
        gpu_share=settings.gpu.share if settings.gpu.sharing == "partition" else None,
    )


@asynccontextmanager
async def _daemon(base: Ground, settings: Settings, config: Path | None) -> AsyncIterator["Daemon"]:
    house = build_house(settings, base)
    daemon = Daemon(base, settings, config, house)
    try:
        yield daemon
    finally:
        await daemon.close()


class Daemon:
    """The house with its doors open: hints, schedules, signals, long work."""

    def __init__(self, base: Ground, settings: Settings, config: Path | None, house: House) -> None:
        """Take over a house."""
        self._base = base
        self._settings = settings
        self._config = config
        self._house = house
        self._wakeups = Wakeups()
        self._stopping = asyncio.Event()
        self._reload = False
        self._alert_until = 0.0
        self._notifier = Notifier()
        self._works = Works(base.store, base.clock, base.steps, work_limits(settings), self._wakeups.wake)
        self._hints = Hints(house.watched, self._wakeups.wake_from_thread)
        self._schedules = self._scheduled(settings)
        self._web = WebChild(config, settings.web)
        self._notifications = Notifications(base.store, base.clock, settings, base.echo.tell)

    async def run(self) -> None:
        """Look whenever there is a reason to, until told to stop."""
        self._obey()
        await self._notifications.use(self._settings)
        self._begin()
        beat = asyncio.create_task(self._beat())
        try:
            while not self._stopping.is_set():
                reasons = await self._wakeups.wait(self._patience())
                if self._stopping.is_set():
                    break
                if HINT in reasons:
                    self._alert_until = time.monotonic() + _ALERT_SECONDS
                try:
                    if self._reload:
                        await self._do_reload()
                    # In a thread: a source that is locked or on a disk that hangs must not stop the loop's heart.
                    if bool(reasons - {HINT}) or await asyncio.to_thread(self._house.changed):
                        await self._look(reasons)
                except TemporaryError as error:
                    await self._wait_out(error)
        finally:
            beat.cancel()
            self._notifier.stopping()
            with contextlib.suppress(TemporaryError):  # what ran out must not turn an orderly end into a failure
                self._say("daemon.stopped")

    def _patience(self) -> float:
        """Return how long to wait for a reason: a hint comes when a commit is written, which is before it is there."""
        usual = self._settings.daemon.poll_seconds
        return min(usual, _ALERT_POLL_SECONDS) if time.monotonic() < self._alert_until else usual

    async def _wait_out(self, error: TemporaryError) -> None:
        """Wait until what the store ran out of may be back, then look again; a stop does not wait."""
        log.error("daemon.cycle_failed", reason=str(error))
        self._notifier.status(str(error)[:200])
        await self._notifications.cycle_failed(str(error))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), error.delay)
        self._wakeups.wake("try again")

    async def close(self) -> None:
        """Let go of everything but the children, which go on."""
        self._hints.stop()
        with contextlib.suppress(Exception):
            self._schedules.stop()
        await asyncio.gather(self._works.leave(), self._web.stop(), self._notifications.close())
        self._house.close()

    def _obey(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._ask_reload)

    def _begin(self) -> None:
        self._hints.start()
        self._schedules.start()
        self._note_policies()
        self._say("daemon.started", lines=list(self._settings.lines), policies=self._house.policies.hash)
        self._web.start()
        self._notifier.ready("watching")

    def _stop(self) -> None:
        self._stopping.set()
        self._wakeups.wake("stop")

    def _ask_reload(self) -> None:
        self._reload = True
        self._wakeups.wake("reload")

    async def _look(self, reasons: set[str]) -> None:
        started = time.monotonic()
        if "full look" in reasons:
            self._house.look_fully()
        self._works.tend()
        report = await self._house.cycle.run(stopping=self._stopping.is_set)
        self._works.tend()
        if report.changed:
            self._wakeups.wake("something changed")
        elif report.again_in is not None:
            self._wakeups.wake_in(report.again_in, "asked to look again")
        self._remember(report)
        await self._notifications.cycle_ended(report)
        self._notifier.status(report.sentence[:200])
        log.debug("daemon.cycle_finished", reasons=sorted(reasons), seconds=round(time.monotonic() - started, 4))

    def _remember(self, report: CycleReport) -> None:
        waits = {line: list(found) for line, found in report.waits.items()}
        with self._base.store.read() as session:
            known = cursor(session, STATUS)
        if known.get("sentence") != report.sentence or known.get("waits") != waits:
            at = self._base.clock.now().isoformat(timespec="seconds")
            with self._base.store.write() as session:
                move_cursor(session, STATUS, {"at": at, "sentence": report.sentence, "waits": waits})

    async def _do_reload(self) -> None:
        self._reload = False
        self._notifier.reloading()
        try:
            settings = load_settings(self._config)
            if settings.home != self._settings.home or settings.store_url != self._settings.store_url:
                raise FlywheelError("home and store cannot change while the daemon runs", "restart it")  # noqa: TRY301
            schedules = self._scheduled(settings)
            house = await asyncio.to_thread(build_house, settings, self._base)
        except FlywheelError as error:
            kind = "policy.policies_rejected" if isinstance(error, PolicyError) else "daemon.settings_rejected"
            self._notifier.ready(f"reload refused: {error}"[:200])
            self._say(kind, reason=str(error))
            return
        self._move_to(house, settings, schedules)
        await self._notifications.use(settings)
        await self._move_web(settings)
        self._notifier.ready("reloaded")
        self._note_policies()
        self._say("daemon.settings_reloaded", lines=list(settings.lines), policies=house.policies.hash)

    def _move_to(self, house: House, settings: Settings, schedules: Schedules) -> None:
        self._hints.stop()
        self._schedules.stop()
        self._house.close()
        self._house, self._settings = house, settings
        self._hints = Hints(house.watched, self._wakeups.wake_from_thread)
        self._schedules = schedules
        self._works.limits = work_limits(settings)
        self._hints.start()
        self._schedules.start()

    async def _move_web(self, settings: Settings) -> None:
        await self._web.stop()
        self._web = WebChild(self._config, settings.web)
        self._web.start()

    def _scheduled(self, settings: Settings) -> Schedules:
        schedules = Schedules(self._base.store, self._base.clock)
        schedules.every(settings.daemon.look_seconds, "look", self._wakeups.wake)
        schedules.at(settings.daemon.full_look, "full look", self._wakeups.wake)
        if settings.keep.tidy is not None:
            schedules.at(settings.keep.tidy, TIDY, lambda name: self._wakeups.wake(ask_to_tidy(self._base, name)))
        return schedules

    async def _beat(self) -> None:
        """Tell systemd, and whoever looks at the home, that the loop turns: a hang of the loop is one of the daemon."""
        seconds = watchdog_seconds()
        while True:
            beat(self._settings.home)
            if seconds is not None:
                self._notifier.alive()
            await asyncio.sleep(min(seconds or BEAT_SECONDS, BEAT_SECONDS))

    def _note_policies(self) -> None:
        """Let the ledger know which policies are in force, when they are not the ones it last knew."""
        with self._base.store.read() as session:
            last = last_event(session, kinds=["policy.policies_loaded"])
        digest = self._house.policies.hash
        if last is None or last.body.get("hash") != digest:
            self._say("policy.policies_loaded", hash=digest, guardrails=len(self._house.policies.guardrails))

    def _say(self, kind: str, **body: object) -> None:
        with self._base.store.write() as session:
            append(session, Event(kind=kind, at=self._base.clock.now(), body=body))
        self._base.echo.tell()
