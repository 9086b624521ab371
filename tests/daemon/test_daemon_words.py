"""Wake-ups, schedules, the one lock, word to systemd, and dying on purpose."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flywheel.core.clocks import ManualClock
from flywheel.core.errors import ConflictError, ResourceError, SettingsError
from flywheel.daemon.locks import daemon_runs, only_daemon
from flywheel.daemon.notices import Notifier, watchdog_seconds
from flywheel.daemon.schedules import Schedules, firing_key
from flywheel.daemon.wakeups import Wakeups
from flywheel.store.stores import Store


@pytest.mark.asyncio
async def test_reasons_are_collected_until_somebody_looks() -> None:
    """The start is the first reason; later ones add up, each once; without any the wait ends empty."""
    wakeups = Wakeups()
    assert await wakeups.wait(1) == {"start"}
    for reason in ("a", "b", "a"):
        wakeups.wake(reason)
    assert await wakeups.wait(1) == {"a", "b"}
    assert await wakeups.wait(0.01) == set()


@pytest.mark.asyncio
async def test_another_thread_may_wake() -> None:
    """No wake-up from a thread is lost, and a waiting daemon hears it at once."""
    wakeups = Wakeups()
    await wakeups.wait(1)

    def speak() -> None:
        for number in range(100):
            wakeups.wake_from_thread(str(number))

    thread = threading.Thread(target=speak)
    thread.start()
    heard: set[str] = set()
    while len(heard) < 100:
        found = await wakeups.wait(5)
        assert found
        heard |= found
    thread.join()
    assert heard == {str(n) for n in range(100)}


def test_a_wake_up_after_the_end_is_nothing() -> None:
    """A thread that speaks when the loop is closed is not told off."""

    async def make() -> Wakeups:
        return Wakeups()

    wakeups = asyncio.run(make())
    wakeups.wake_from_thread("late")
    assert asyncio.run(_one(wakeups)) == {"start"}


async def _one(wakeups: Wakeups) -> set[str]:
    return await wakeups.wait(0.01)


def test_two_daemons_fire_a_schedule_once(store: Store) -> None:
    """Within its minute a schedule fires once, whoever comes first; the next minute is another firing."""
    clock, heard = ManualClock(), list[str]()
    schedules = [Schedules(store, clock) for _ in range(2)]
    for _ in range(2):
        for each in (*schedules, *schedules):
            each._once("full look", heard.append)
            clock.advance(10)
        clock.advance(20)
    assert heard == ["full look"] * 2


def test_a_firing_is_named_by_its_minute() -> None:
    """Two schedules, or two minutes, have different keys."""
    at = datetime(2026, 1, 2, 3, 4, 59, tzinfo=UTC)
    assert firing_key("look", at) == "look@2026-01-02T03:04"


@pytest.mark.asyncio
async def test_a_heartbeat_beats_until_it_is_stopped(store: Store) -> None:
    """An interval calls again and again; after the stop it is quiet."""
    schedules, heard = Schedules(store, ManualClock()), list[str]()
    schedules.every(0.02, "look", heard.append)
    schedules.at("0 0 1 1 *", "new year", heard.append)
    schedules.start()
    async with asyncio.timeout(10):
        while len(heard) < 2:  # noqa: ASYNC110 - what is waited for is another process or thread
            await asyncio.sleep(0.01)
    schedules.stop()
    await asyncio.sleep(0.03)
    count = len(heard)
    await asyncio.sleep(0.06)
    assert set(heard) == {"look"}
    assert len(heard) == count


@pytest.mark.parametrize("cron", ["", "at noon", "61 * * * *", "* * * *", "* * * * * *"])
def test_a_bad_cron_line_is_named(store: Store, cron: str) -> None:
    """The schedule, the line and the form it should have are told."""
    with pytest.raises(SettingsError, match=r"schedule 'full look': .* is not a cron line .*crontab\(5\)"):
        Schedules(store, ManualClock()).at(cron, "full look", lambda _: None)


def test_a_home_has_one_daemon(tmp_path: Path) -> None:
    """A second one is told who holds it, and gets it when the first has left."""
    home = tmp_path / "home"
    assert not daemon_runs(home)
    with only_daemon(home):
        assert daemon_runs(home)
        with pytest.raises(ConflictError, match=rf"process {os.getpid()}\).*stop it first"), only_daemon(home):
            pass
    assert not daemon_runs(home)
    with only_daemon(home):
        pass


HOLD = """
import sys, time
from pathlib import Path
from flywheel.daemon.locks import only_daemon
with only_daemon(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_kill_9_frees_the_home(tmp_path: Path) -> None:
    """The lock is the kernel's: no crash leaves it behind, and its holder is named while it lives."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"held\n"
        with pytest.raises(ConflictError, match=rf"process {daemon.pid}\)"), only_daemon(tmp_path):
            pass
        daemon.kill()
    with only_daemon(tmp_path):
        assert (tmp_path / "daemon.lock").read_text() == str(os.getpid())


def test_a_home_that_cannot_be_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    """A file in its place is told with its mend."""
    (tmp_path / "home").write_text("a file")
    with pytest.raises(SettingsError, match=r"cannot be used.*check home"), only_daemon(tmp_path / "home"):
        pass
    assert not daemon_runs(tmp_path / "home")


@pytest.fixture(params=["path", "abstract"])
def ear(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """Listen as systemd does; give the address as systemd writes it."""
    name = f"{tmp_path}/notify" if request.param == "path" else f"@flywheel-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        listener.settimeout(5)
        yield name, listener


def test_systemd_hears_every_word(ear: tuple[str, socket.socket]) -> None:
    """Ready, status, alive, reloading and stopping arrive in systemd's own words."""
    address, listener = ear
    notifier = Notifier(address)
    notifier.ready("watching")
    notifier.status("nothing new (l: needs 3 — more)")
    notifier.alive()
    notifier.reloading()
    notifier.stopping()
    heard = [listener.recv(1000).decode() for _ in range(5)]
    assert heard[:3] == ["READY=1\nSTATUS=watching", "STATUS=nothing new (l: needs 3 — more)", "WATCHDOG=1"]
    assert heard[3].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert int(heard[3].rpartition("=")[2]) > 0
    assert heard[4] == "STOPPING=1"


def test_a_line_break_is_no_word_to_systemd(ear: tuple[str, socket.socket]) -> None:
    """A reason of several lines is one line of status: none of them is taken for an order."""
    Notifier(ear[0]).status("it failed:\nSTOPPING=1")
    assert ear[1].recv(1000).decode() == "STATUS=it failed: STOPPING=1"


def test_the_address_comes_from_systemd(ear: tuple[str, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an address of its own the notifier takes NOTIFY_SOCKET."""
    monkeypatch.setenv("NOTIFY_SOCKET", ear[0])
    Notifier().alive()
    assert ear[1].recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@nobody-listens-here"])
def test_where_nobody_listens_nothing_breaks(address: str) -> None:
    """A terminal, or a systemd that went away, is no error."""
    notifier = Notifier(address)
    assert [notifier.ready("x"), notifier.alive(), notifier.stopping()] == [None] * 3


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [
        ("60000000", "", 30.0),
        ("60000000", "mine", 30.0),
        ("60000000", "1", None),
        ("", "", None),
        ("soon", "", None),
    ],
)
def test_the_watchdog_wants_half_of_what_it_tolerates(
    usec: str, pid: str, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a number meant for this very process counts."""
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "mine" else pid)
    assert watchdog_seconds() == seconds


DIE = """
import sys
from pathlib import Path
from flywheel.core.steps import Steps
from flywheel.daemon.kills import kill_listener
steps = Steps(kill_listener(Path(sys.argv[1])))
steps.enter("deed")
steps.wrote("before")
steps.wrote("after")
steps.leave()
"""


def test_it_dies_once_at_every_boundary(tmp_path: Path) -> None:
    """Each start gets one boundary further; when all are known the program ends in order."""
    path = tmp_path / "died"
    codes = [subprocess.run([sys.executable, "-c", DIE, str(path)], check=False).returncode for _ in range(5)]
    assert codes == [-signal.SIGKILL] * 4 + [0]
    assert path.read_text().splitlines() == [
        "deed: begin", "deed: before write 1", "deed: after write 1", "deed: end",
    ]  # fmt: skip


def test_a_firing_the_store_cannot_note_is_not_lost(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk at that minute costs at most a second look, never the look of the day."""
    heard: list[str] = []

    def full() -> Any:
        raise ResourceError("the store cannot write", "free disk space")

    monkeypatch.setattr(store, "write", full)
    Schedules(store, ManualClock())._once("full look", heard.append)
    assert heard == ["full look"]
