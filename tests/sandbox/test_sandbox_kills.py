"""What is killed in the middle: a fork server, a box, a client, the executor. No test passes by it, nothing stays."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the shared fixtures lie beside the rooms of the tests

import asyncio
import os
import signal
import stat
import subprocess
import time

import pytest
from fixtures.executors import Running, need_bubblewrap, running_executor
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.errors import CorruptError, UnavailableError
from flywheel.sandbox.boxes import LostError, _sizes, _told
from flywheel.sandbox.clients import Executor
from flywheel.sandbox.programs import Ending, Limits, Program, Run

LONG = Limits(seconds=30, memory_mib=64)
HANG = Program(code="import time\ntime.sleep(60)", limits=LONG)
HELLO = Program(code="print('hello')", limits=LONG)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """An executor with one box, that outlives what is done to it."""
    need_bubblewrap()
    with running_executor(tmp_path_factory.mktemp("executor"), workers=1) as running:
        yield running


@pytest.fixture
def ending(tmp_path):
    """An executor with one box, that does not outlive its test."""
    need_bubblewrap()
    with running_executor(tmp_path, workers=1) as running:
        yield running


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def family(pid: int) -> list[int]:
    """All processes below one, itself among them."""
    return [pid, *(member for child in children(pid) for member in family(child))]


async def at_work(running: Running) -> list[int]:
    """Wait until a test is in a box: bubblewrap, fork server, warden, test, each the only child of the one before."""
    async with asyncio.timeout(60):
        while True:
            for box in map(family, running.boxes()):
                if len(box) == 4 and [children(pid) for pid in box] == [[pid] for pid in box[1:]] + [[]]:
                    return box
            await asyncio.sleep(0.02)


async def gone(pids: list[int]) -> None:
    """Wait until none of these processes is there; one that nobody has waited for yet is not there."""
    async with asyncio.timeout(20):
        for pid in pids:
            while alive(pid):  # noqa: ASYNC110 - other processes send no events
                await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process still does anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.asyncio
@pytest.mark.parametrize("depth", [0, 1, 2], ids=["bubblewrap", "fork server", "warden"])
async def test_a_box_that_dies_fails_its_test_and_is_replaced(running, depth):
    """Whichever process of a box is killed, its test has failed, all of the box is gone, and another box serves."""
    executor = Executor(running.socket)
    test = asyncio.create_task(executor.run(HANG))
    box = await at_work(running)
    os.kill(box[depth], signal.SIGKILL)
    (run,) = await asyncio.wait_for(test, 60)
    assert (run.ending, run.value) == (Ending.DIED, None)
    assert "the box was lost" in run.detail
    assert [run.output for run in await executor.run(HELLO)] == ["hello\n"]
    await gone(box)


@pytest.mark.asyncio
async def test_an_executor_that_is_told_to_leave_leaves_nothing(ending):
    """SIGTERM in the middle: the client may ask again, and no process, socket or group stays."""
    test = asyncio.create_task(Executor(ending.socket).run(HANG))
    await at_work(ending)
    everybody = family(ending.process.pid)
    ending.process.send_signal(signal.SIGTERM)
    with pytest.raises(UnavailableError):
        await asyncio.wait_for(test, 30)
    assert await asyncio.to_thread(ending.process.wait, 30) == 0
    await gone(everybody)
    assert not ending.socket.exists()
    assert not list(Path("/sys/fs/cgroup").glob(f"*/**/flywheel-box-{ending.process.pid}-*"))


@pytest.mark.asyncio
async def test_an_executor_that_is_killed_takes_its_boxes_along(ending):
    """SIGKILL in the middle: every box ends with it, and the next executor takes over its socket."""
    test = asyncio.create_task(Executor(ending.socket).run(HANG))
    await at_work(ending)
    everybody = family(ending.process.pid)
    ending.process.kill()
    with pytest.raises(UnavailableError):
        await asyncio.wait_for(test, 30)
    ending.process.wait()
    await gone(everybody)
    assert ending.socket.exists()
    (ending.socket.parent / "notify").unlink()
    with running_executor(ending.socket.parent, workers=1) as again:
        assert [run.output for run in await Executor(again.socket).run(HELLO)] == ["hello\n"]


@pytest.mark.asyncio
async def test_a_client_that_leaves_gives_its_box_back(running):
    """A program whose client is gone is ended: the only box serves the next in time."""
    executor = Executor(running.socket)
    test = asyncio.create_task(executor.run(HANG))
    await at_work(running)
    test.cancel()
    began = time.monotonic()
    assert [run.output for run in await executor.run(HELLO)] == ["hello\n"]
    assert time.monotonic() - began < LONG.seconds - 5


def test_a_second_executor_says_that_there_is_one(running):
    """Two executors do not share a socket; the socket is its owner's alone."""
    config = running.socket.parent / "flywheel.toml"
    command = [sys.executable, "-m", "flywheel", "executor", "--config", str(config)]
    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert second.returncode == 1
    assert "listens" in second.stderr
    assert stat.S_IMODE(running.socket.stat().st_mode) == 0o600


headers = st.none() | st.dictionaries(
    st.sampled_from(["status", "why", "seconds", "sizes"]),
    st.none() | st.integers(-70, 300) | st.sampled_from(["", "time", "too much"]) | st.lists(st.integers(-1, 200)),
)


@given(header=headers, word=st.binary(max_size=20) | st.just(b'{"walls": "x"}'))
def test_what_a_box_says_is_not_trusted(header, word):
    """A box's answer is one that a box can give, within its bounds, or the box is lost."""
    try:
        sizes = _sizes(header, (100, 50, 100))
        told = _told(header or {}, b"", b"", word)
    except (LostError, CorruptError):
        return
    assert all(0 <= size <= 100 for size in sizes)
    assert told.status is None or isinstance(told.status, int)
    assert not word.startswith(b'{"walls"')


def test_a_run_is_never_made_from_nothing():
    """A run needs an ending."""
    with pytest.raises(ValueError, match="ending"):
        Run.model_validate({})


@pytest.mark.asyncio
async def test_a_box_that_dies_idle_costs_no_test(running):
    """A box that is killed between two tests is replaced; the next test is not failed for it."""
    executor = Executor(running.socket)
    await executor.run(HELLO)
    os.kill(running.boxes()[0], signal.SIGKILL)
    await asyncio.sleep(0.1)
    assert [run.output for run in await executor.run(HELLO)] == ["hello\n"]
