"""Where serving and training take turns on one GPU: a run works only in its turn, gives it back, and loses nothing."""

import asyncio
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.clocks import ManualClock
from flywheel.core.jobs import Job, JobState
from flywheel.core.steps import Steps
from flywheel.core.turns import Phase, Turn, may_work
from flywheel.daemon.houses import idle_times
from flywheel.daemon.idle_times import IdleTimes, IdleWindow
from flywheel.daemon.settings import Settings
from flywheel.daemon.works import WorkLimits, Works
from flywheel.gateway.call_hours import calls_by_hour
from flywheel.gateway.calls import Exchange, Receipt
from flywheel.gateway.databases import CaptureDatabase
from flywheel.gateway.sessions import Session
from flywheel.proc import children
from flywheel.store import jobs as rows
from flywheel.store.ledger import events
from flywheel.store.stores import Store
from flywheel.store.turns import move_turn

JOBS = Path(__file__).parents[2] / "flywheel" / "jobs"
LEARN = "echo x >> starts; while [ ! -e go ]; do sleep 0.02; done; mkdir -p out && echo '{}' > out/result.json"


class Yard:
    """A store with one job, whose turn it is or not."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.works = Works(store, ManualClock(), Steps(), WorkLimits(nice=0, takes_turns=True), lambda _: None)

    def job(self, kind: str = "train", state: JobState = JobState.QUEUED) -> None:
        """Enqueue the job."""
        spec = {"argv": ["sh", "-c", LEARN], "env": {}, "result": "out/result.json"}
        job = Job(id="job", kind=kind, line="l", subject="run", state=state, folder=str(self.folder), spec=spec)
        with self.store.write() as session:
            rows.enqueue(session, job)

    def turn(self, phase: Phase) -> None:
        """Move the turn."""
        with self.store.write() as session:
            move_turn(session, Turn(phase=phase, run="run", cause=7))

    def read(self) -> Job:
        """Return the job."""
        with self.store.read() as session:
            found = rows.job_by_id(session, "job")
        assert found is not None
        return found

    def kinds(self) -> list[str]:
        """What the ledger tells."""
        with self.store.read() as session:
            return [event.kind for event in events(session)]

    @property
    def starts(self) -> int:
        """How often the job was begun."""
        path = self.folder / "starts"
        return len(path.read_text().split()) if path.exists() else 0

    async def until(self, check: Callable[[], bool], seconds: float = 20) -> None:
        """Tend the works until something is so."""
        async with asyncio.timeout(seconds):
            while not check():
                self.works.tend()
                await asyncio.sleep(0.01)

    async def wait(self, seconds: float) -> None:
        """Tend the works for a while."""
        end = asyncio.get_running_loop().time() + seconds
        await self.until(lambda: asyncio.get_running_loop().time() > end)


@pytest.fixture
def yard(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    monkeypatch.setattr("flywheel.daemon.works._LOOK_SECONDS", 0.02)
    folder = tmp_path / "run"
    folder.mkdir()
    yield Yard(store, folder)
    for mark in children.at_work(folder):
        children.end(mark, force=True)


@pytest.mark.asyncio
async def test_a_run_starts_only_in_its_turn(yard: Yard) -> None:
    """While the servers serve, yield or wake, its process does not exist; in its turn it runs to its result."""
    yard.job()
    for phase in ("serving", "yielding", "returning", "waking", "checking"):
        yard.turn(phase)
        await yard.wait(0.1)
        assert (yard.starts, yard.works.running) == (0, ())
    yard.turn("resting")
    await yard.until(lambda: yard.starts == 1)
    (yard.folder / "go").touch()
    await yard.until(lambda: yard.read().state is JobState.FINISHED)


@pytest.mark.asyncio
async def test_a_run_gives_the_gpu_back_and_goes_on_in_the_next_turn(yard: Yard) -> None:
    """When its turn ends its process ends, it is queued again with all it did, and no attempt is counted as failed."""
    yard.job()
    for number in range(1, 8):  # more often than a job may fail
        yard.turn("resting")
        await yard.until(lambda number=number: yard.starts == number)  # type: ignore[misc]
        yard.works._clock.advance(2)  # type: ignore[attr-defined]
        yard.turn("returning")
        await yard.until(lambda: yard.read().state is JobState.QUEUED and not yard.works.running)
        assert not children.is_busy(yard.folder)
    assert yard.kinds().count("train.run_paused") == 7
    assert yard.kinds().count("train.run_resumed") == 6
    yard.turn("resting")
    (yard.folder / "go").touch()
    await yard.until(lambda: yard.read().state is JobState.FINISHED)


@pytest.mark.asyncio
async def test_a_child_that_nobody_wrote_down_is_ended_too(yard: Yard) -> None:
    """The daemon died between starting a process and recording it: out of turn, it is found by its lock and ended."""
    yard.job()
    child = children.launch(["sleep", "60"], yard.folder, dict(os.environ))
    yard.turn("returning")
    assert [mark.pid for mark in children.at_work(yard.folder)] == [child.pid]
    await yard.until(lambda: child.poll() is not None)
    await yard.until(lambda: not yard.works.running)
    assert yard.read().state is JobState.QUEUED


@pytest.mark.asyncio
async def test_a_measurement_waits_while_the_servers_rest(yard: Yard) -> None:
    """What asks the model server starts when it serves again."""
    yard.job("measure")
    yard.turn("resting")
    await yard.wait(0.1)
    assert yard.starts == 0
    yard.turn("serving")
    await yard.until(lambda: yard.starts == 1)
    (yard.folder / "go").touch()
    await yard.until(lambda: yard.read().state is JobState.FINISHED)


@pytest.mark.asyncio
async def test_with_a_partition_a_run_is_told_its_part(yard: Yard) -> None:
    """Nothing stops, and the process is told how much of the GPU it may take."""
    yard.works.limits = WorkLimits(nice=0, gpu_share=0.35)
    with yard.store.write() as session:
        spec = {
            "argv": ["sh", "-c", "env > told; mkdir -p out; echo '{}' > out/result.json"],
            "result": "out/result.json",
        }
        rows.enqueue(session, Job(id="job", kind="train", line="l", subject="run", state=JobState.QUEUED,
                                  folder=str(yard.folder), spec=spec))  # fmt: skip
    await yard.until(lambda: yard.read().state is JobState.FINISHED)
    told = (yard.folder / "told").read_text().splitlines()
    assert {"FLYWHEEL_GPU_SHARE=0.35", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=35"} <= set(told)


@given(st.sampled_from(["serving", "yielding", "resting", "returning", "waking", "checking"]), st.booleans())
def test_training_and_serving_never_work_at_once(phase: Phase, takes_turns: bool) -> None:  # noqa: FBT001
    """Where they take turns, no phase allows both a run and a measurement; other work is never stopped."""
    turn = Turn(phase=phase)
    both = [may_work(kind, turn, takes_turns=takes_turns) for kind in ("train", "measure")]
    assert not (takes_turns and all(both))
    assert may_work("export", turn, takes_turns=takes_turns)


def captured(path: Path, moments: list[datetime]) -> None:
    """Write calls as the gateway does."""
    made = CaptureDatabase(path, 2**30)
    session = Session("s", "x-session-id")
    rows_ = [Exchange(at=at, began=0.0, raw=b"{}", alias=None, model=None, arm=None, routing_version=1, session=session,
                      task=None, streamed=False, receipt=Receipt(keep=0)).row(0.1) for at in moments]  # fmt: skip
    made.write(rows_)
    made.close()


def test_calls_are_counted_by_the_hour_they_came_in(tmp_path: Path) -> None:
    """The capture is read as it lies there; one that is not there has no calls."""
    at = datetime(2026, 1, 5, 9, 59, 59, 999999, tzinfo=UTC)
    assert calls_by_hour(tmp_path / "capture.db", at) == {}
    captured(
        tmp_path / "capture.db", [at, at + timedelta(seconds=1), at + timedelta(minutes=30), at - timedelta(days=9)]
    )
    found = calls_by_hour(tmp_path / "capture.db", at - timedelta(days=1))
    assert found == {at.replace(minute=0, second=0, microsecond=0): 1, datetime(2026, 1, 5, 10, tzinfo=UTC): 2}


def test_idle_times_are_learned_from_the_capture_anew_every_hour(tmp_path: Path) -> None:
    """Three weeks of work from nine to six: at noon nobody trains, at night somebody may; a set window goes before."""
    work = [datetime(2026, 1, 5, 9, tzinfo=UTC) + timedelta(days=day, hours=hour, minutes=minute)
            for day in range(21) for hour in range(9) for minute in range(0, 60, 10)]  # fmt: skip
    captured(tmp_path / "capture.db", work)
    settings = Settings(home=tmp_path, gpu={"sharing": "sleep"})
    clock = ManualClock(datetime(2026, 1, 26, 12, tzinfo=UTC))
    times = idle_times(settings, clock)
    by_hour = []
    for _ in range(24):
        by_hour.append((clock.now().hour, times.is_idle()))
        clock.advance(3600)
    assert {hour for hour, idle in by_hour if not idle} == set(range(9, 18))
    assert IdleTimes(clock, IdleWindow.parse("00:00-00:00"), lambda _: {}).is_idle()
    assert idle_times(Settings(home=tmp_path), ManualClock(datetime(2026, 1, 26, 12, tzinfo=UTC))).is_idle()


@pytest.mark.parametrize(("told", "has_gpu", "kept"), [("0.35", True, 0.35), ("0.35", False, None), ("", True, None)])
def test_a_trainer_keeps_to_its_part(
    told: str,
    has_gpu: bool,  # noqa: FBT001
    kept: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the daemon tells the process becomes torch's own limit, where there is a GPU at all."""
    limits: list[float] = []
    cuda = SimpleNamespace(is_available=lambda: has_gpu, set_per_process_memory_fraction=limits.append)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setenv("FLYWHEEL_GPU_SHARE", told)
    job = runpy.run_path(str(JOBS / "gpu_shares.py"))
    assert job["keep_to_share"]() == kept
    assert limits == ([kept] if kept else [])
