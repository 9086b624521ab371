"""The daemon's loop: it looks when there is a reason, outlives what passes, and leaves when told, in order."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flywheel.core.clocks import SystemClock
from flywheel.core.errors import ResourceError
from flywheel.core.steps import Steps
from flywheel.daemon.cycles import CycleReport
from flywheel.daemon.houses import Ground
from flywheel.daemon.run import STATUS, Daemon
from flywheel.daemon.settings import Settings
from flywheel.store.counters import cursor
from flywheel.store.ledger import events
from flywheel.store.stores import Store


class QuietHouse:
    """A house without rooms: it counts the looks and answers what it is told."""

    def __init__(self) -> None:
        self.cycle = self
        self.policies = SimpleNamespace(hash="p", guardrails=())
        self.watched: list[Path] = []
        self.looks = 0
        self.full_looks = 0
        self.faults: list[Exception] = []
        self.reports: list[CycleReport] = []
        self.closed = False
        self.news = False

    async def run(self, *, stopping: Callable[[], bool]) -> CycleReport:
        """Count the look."""
        self.looks += 1
        if self.faults:
            raise self.faults.pop()
        return self.reports.pop() if self.reports else CycleReport(sentence="nothing new")

    def changed(self) -> bool:
        """Tell once that there is news."""
        news, self.news = self.news, False
        return news

    def look_fully(self) -> None:
        """Count the full look."""
        self.full_looks += 1

    def close(self) -> None:
        """Note the end."""
        self.closed = True


@pytest.fixture
def quiet() -> QuietHouse:
    return QuietHouse()


@asynccontextmanager
async def running(store: Store, house: Any, tmp_path: Path) -> AsyncIterator[Daemon]:
    """Run a daemon in this process; at the end it is told to stop by a real signal and must leave in order."""
    settings = Settings(home=tmp_path, daemon={"poll_seconds": 0.02, "look_seconds": 600})
    daemon = Daemon(Ground(store, SystemClock(), Steps()), settings, None, house)
    task = asyncio.create_task(daemon.run())
    try:
        await asyncio.sleep(0.02)
        yield daemon
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5):
            await task
        await daemon.close()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(number)


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - what is waited for is another process or thread
            await asyncio.sleep(0.005)


def kinds(store: Store) -> list[str]:
    with store.read() as session:
        return [event.kind for event in events(session)]


@pytest.mark.asyncio
async def test_it_looks_once_at_the_start_and_then_only_for_a_reason(
    store: Store, quiet: QuietHouse, tmp_path: Path
) -> None:
    """Without news an idle daemon does not look; news in a source or a finished deed lead to another look."""
    async with running(store, quiet, tmp_path) as daemon:
        await until(lambda: quiet.looks == 1)
        await asyncio.sleep(0.1)
        assert quiet.looks == 1
        quiet.news = True
        await until(lambda: quiet.looks == 2)
        quiet.reports = [CycleReport(sentence="did it", done=("did it",))]
        quiet.news = True
        await until(lambda: quiet.looks == 4)
        daemon._wakeups.wake("full look")
        await until(lambda: quiet.looks == 5)
        assert quiet.full_looks == 1
    assert quiet.closed
    assert kinds(store) == ["policy.policies_loaded", "daemon.started", "daemon.stopped"]


@pytest.mark.asyncio
async def test_what_passes_does_not_end_it(store: Store, quiet: QuietHouse, tmp_path: Path) -> None:
    """A store that is full or locked for a while is waited out; then the daemon looks again by itself."""
    quiet.faults = [ResourceError("the store cannot write", "free disk space", delay=0.03)] * 2
    async with running(store, quiet, tmp_path):
        await until(lambda: quiet.looks == 3)
    assert quiet.faults == []
    assert kinds(store)[-1] == "daemon.stopped"


@pytest.mark.asyncio
async def test_a_stop_does_not_wait_for_what_passes(store: Store, quiet: QuietHouse, tmp_path: Path) -> None:
    """Told to stop while it waits out a shortage, the daemon leaves at once."""
    quiet.faults = [ResourceError("the store cannot write", delay=600)]
    async with running(store, quiet, tmp_path):
        await until(lambda: quiet.looks == 1)
    assert kinds(store)[-1] == "daemon.stopped"


@pytest.mark.asyncio
async def test_the_last_sentence_is_kept_for_people(store: Store, quiet: QuietHouse, tmp_path: Path) -> None:
    """What a cycle said, and what each line waits for, can be read by other programs."""
    quiet.reports = [CycleReport(sentence="nothing new (l: needs 3)", waits={"l": ("needs 3",)})]
    async with running(store, quiet, tmp_path):
        await until(lambda: quiet.looks == 1)
    with store.read() as session:
        status = cursor(session, STATUS)
    assert (status["sentence"], status["waits"]) == ("nothing new (l: needs 3)", {"l": ["needs 3"]})


@pytest.mark.asyncio
async def test_bad_settings_are_turned_down_on_reload(store: Store, quiet: QuietHouse, tmp_path: Path) -> None:
    """A reload with a mistake keeps the house that runs, and says so."""
    async with running(store, quiet, tmp_path) as daemon:
        daemon._config = tmp_path / "nowhere.toml"
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "daemon.settings_rejected" in kinds(store))
        assert not quiet.closed
        looks = quiet.looks
        quiet.news = True
        await until(lambda: quiet.looks > looks)


@pytest.mark.asyncio
async def test_a_bad_schedule_is_turned_down_on_reload(store: Store, quiet: QuietHouse, tmp_path: Path) -> None:
    """A cron line that is none ends neither the daemon nor the house that runs."""
    config = tmp_path / "flywheel.toml"
    config.write_text(f'home = "{tmp_path}"\n[daemon]\nfull_look = "every night"\n')
    async with running(store, quiet, tmp_path) as daemon:
        daemon._config = config
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "daemon.settings_rejected" in kinds(store))
        assert not quiet.closed
        looks = quiet.looks
        quiet.news = True
        await until(lambda: quiet.looks > looks)


@pytest.mark.asyncio
async def test_reloaded_limits_hold_for_work_that_is_started_then(
    store: Store, quiet: QuietHouse, tmp_path: Path
) -> None:
    """Changed settings are in force, those of long work too."""
    config = tmp_path / "flywheel.toml"
    config.write_text(
        f'home = "{tmp_path}"\nstore = "sqlite:///{tmp_path / "flywheel.db"}"\n[daemon]\njob_attempts = 9\n'
    )
    async with running(store, quiet, tmp_path) as daemon:
        daemon._settings = daemon._settings.model_copy(update={"store": f"sqlite:///{tmp_path / 'flywheel.db'}"})
        daemon._config = config
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "daemon.settings_reloaded" in kinds(store))
        assert daemon._works.limits.attempts == 9


@pytest.mark.asyncio
async def test_a_source_that_hangs_does_not_stop_the_heart(store: Store, quiet: QuietHouse, tmp_path: Path) -> None:
    """While a look at a source blocks, the loop turns: systemd hears that the daemon lives."""
    freed = threading.Event()
    quiet.changed = lambda: not freed.wait(10)  # type: ignore[method-assign]
    async with running(store, quiet, tmp_path):
        turns = 0
        async with asyncio.timeout(5):
            for _ in range(20):
                await asyncio.sleep(0.005)
                turns += 1
        freed.set()
    assert turns == 20
