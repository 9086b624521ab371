"""Long work: started once, followed to its result, resumed after a crash, adopted by the next daemon, never doubled."""

import asyncio
import gc
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from daemon_yard import RESULT, WAIT, Yard, ended, until

from flywheel.core.errors import ResourceError
from flywheel.core.jobs import JobState, ProcessMark
from flywheel.proc import children
from flywheel.store import jobs as rows


@pytest.mark.asyncio
async def test_a_job_runs_to_its_result(yard: Yard) -> None:
    """It is started once, in its folder, with its environment; its end frees the lease and wakes the daemon."""
    yard.job("echo x >> starts; echo $ANSWER > answer; " + RESULT)
    works = yard.works()
    await until(works, lambda: bool(yard.woken))
    job = yard.read()
    assert (job.state, job.attempts, job.error, job.lease_until) == (JobState.FINISHED, 1, "", None)
    assert yard.starts() == 1
    assert (yard.folder / "job-1" / "answer").read_text() == "42\n"
    assert yard.woken == ["job-1 ended"]
    assert works.running == ()


@pytest.mark.asyncio
async def test_progress_is_kept_while_it_runs(yard: Yard) -> None:
    """What the child tells about its progress stands in the job, with a lease that is renewed."""
    line = '{"event": "step", "step": 3, "of": 9}'
    yard.job(f'echo \'{line}\'; echo \'{{"event": "chatter", "x": 1}}\'; ' + WAIT)
    works = yard.works(lease=timedelta(seconds=60))

    def renewed() -> bool:
        yard.clock.advance(1.1)
        told = yard.read().progress
        return {key: told.get(key) for key in ("step", "of")} == {"step": 3, "of": 9} and told["worked_seconds"] > 1

    await until(works, renewed)
    lease = yard.read().lease_until
    assert lease is not None
    assert lease > yard.clock.now() + timedelta(seconds=30)
    assert works.running == ("job-1",)
    assert "x" not in yard.read().progress
    yard.go()
    await until(works, ended(yard))


@pytest.mark.asyncio
async def test_a_program_that_says_why_it_failed_is_not_tried_again(yard: Yard) -> None:
    """Its own last error is the job's, word for word."""
    yard.job("""echo x >> starts; echo '{"event": "failed", "error": "the GPU has 8 GiB, 24 are needed"}'; exit 1""")
    await until(yard.works(), ended(yard))
    job = yard.read()
    assert (job.state, job.error, job.attempts) == (JobState.FAILED, "the GPU has 8 GiB, 24 are needed", 1)
    assert yard.starts() == 1


@pytest.mark.asyncio
async def test_a_crash_is_resumed_a_few_times(yard: Yard) -> None:
    """A child that dies without a word is started again, up to the limit; then its last complaint is the reason."""
    yard.job("echo x >> starts; echo boom $(wc -l < starts) >&2; kill -9 $$")
    await until(yard.works(attempts=3), ended(yard))
    job = yard.read()
    assert (job.state, job.error, job.attempts, yard.starts()) == (JobState.FAILED, "boom 3", 3, 3)
    assert yard.resumed() == [9, 9]


@pytest.mark.asyncio
async def test_a_crash_that_passes_is_forgotten(yard: Yard) -> None:
    """The second start ends the work; work that is not training resumes without a word in the ledger."""
    yard.job(f"echo x >> starts; [ $(wc -l < starts) = 2 ] || exit 1; {RESULT}", kind="gate")
    await until(yard.works(), ended(yard))
    assert (yard.read().state, yard.read().error, yard.starts()) == (JobState.FINISHED, "", 2)
    assert yard.resumed() == []


@pytest.mark.asyncio
async def test_a_program_that_cannot_be_started_fails_by_name(yard: Yard) -> None:
    """A missing interpreter is the job's error, not the daemon's."""
    yard.job("", spec={"argv": ["/nowhere/python", "x.py"]})
    await until(yard.works(), ended(yard))
    assert yard.read().error.startswith("cannot start /nowhere/python: No such file")


@pytest.mark.asyncio
async def test_a_result_that_is_there_is_enough(yard: Yard) -> None:
    """Work that ended while no daemon was there is finished without being started again."""
    yard.job("echo x >> starts", state=JobState.RUNNING, process=None)
    (yard.folder / "job-1" / "out").mkdir()
    (yard.folder / "job-1" / "out" / "result.json").write_text("{}")
    await until(yard.works(), ended(yard))
    assert (yard.read().state, yard.starts()) == (JobState.FINISHED, 0)


FIRST_DAEMON = """
import asyncio, sys
from pathlib import Path
from flywheel.core.clocks import SystemClock
from flywheel.core.steps import Steps
from flywheel.daemon.works import WorkLimits, Works
from flywheel.store.stores import open_store, sqlite_url

async def main():
    store = open_store(sqlite_url(Path(sys.argv[1])))
    works = Works(store, SystemClock(), Steps(), WorkLimits(nice=0), print)
    while True:
        works.tend()
        await asyncio.sleep(0.02)

asyncio.run(main())
"""


@pytest.mark.asyncio
async def test_the_next_daemon_adopts_what_a_killed_one_left(yard: Yard) -> None:
    """After kill -9 of the daemon the child goes on; the next one follows that same child to its result."""
    yard.job(WAIT)
    argv = [sys.executable, "-c", FIRST_DAEMON, str(yard.folder / "flywheel.db")]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        async with asyncio.timeout(20):
            while yard.starts() == 0 or yard.read().process is None:  # noqa: ASYNC110 - what is waited for is another process or thread
                await asyncio.sleep(0.02)
        daemon.kill()
    before = yard.read()
    works = yard.works()
    works.tend()
    await asyncio.sleep(0.1)
    adopted = yard.read()
    assert works.running == ("job-1",)
    assert (adopted.state, adopted.process, adopted.attempts) == (JobState.RUNNING, before.process, 1)
    assert adopted.token == before.token + 1
    yard.go()
    await until(works, ended(yard))
    assert (yard.read().state, yard.starts(), yard.resumed()) == (JobState.FINISHED, 1, [])


@pytest.mark.asyncio
async def test_a_child_nobody_wrote_down_is_adopted_too(yard: Yard) -> None:
    """A daemon that died between starting a child and recording it has still started it only once."""
    yard.job(WAIT)
    job = yard.read()
    with children.launch(job.spec["argv"], Path(job.folder), os.environ) as child:
        works = yard.works()
        works.tend()
        await asyncio.sleep(0.1)
        yard.go()
        child.wait(10)
    await until(works, ended(yard))
    assert (yard.read().state, yard.starts()) == (JobState.FINISHED, 1)


@pytest.mark.asyncio
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
async def test_leaving_lets_the_children_go_on(yard: Yard) -> None:
    """A daemon that leaves in order ends nothing; its successor in the same store finishes the same child."""
    yard.job(WAIT)
    first = yard.works()
    await until(first, lambda: yard.starts() == 1)
    await first.leave()
    gc.collect()
    assert yard.read().state is JobState.RUNNING
    assert children.is_busy(yard.folder / "job-1")
    assert yard.woken == []
    second = yard.works()
    second.tend()
    yard.go()
    await until(second, ended(yard))
    assert (yard.read().state, yard.starts()) == (JobState.FINISHED, 1)


@pytest.mark.asyncio
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
async def test_who_lost_the_lease_lets_go(yard: Yard) -> None:
    """Another daemon's token fences this one off: it stops following and writes nothing more to the job."""
    yard.job(WAIT)
    works = yard.works()
    await until(works, lambda: yard.starts() == 1)
    with yard.store.write() as session:
        rows.take_over(session, "job-1", yard.clock.now(), timedelta(seconds=60))
    taken = yard.read()
    yard.clock.advance(2)
    async with asyncio.timeout(10):
        while works.running:  # noqa: ASYNC110 - what is waited for is another process or thread
            await asyncio.sleep(0.01)
    assert yard.read() == taken
    assert children.is_busy(yard.folder / "job-1")
    yard.go()
    await until(yard.works(), ended(yard))
    gc.collect()
    assert yard.starts() == 1


@pytest.mark.asyncio
async def test_what_runs_too_long_is_ended(yard: Yard) -> None:
    """The limit ends the whole group and says which setting to raise."""
    yard.job("sleep 60 & " + WAIT)
    works = yard.works(longest=timedelta(hours=2))
    await until(works, lambda: yard.starts() == 1)
    yard.clock.advance(3600)
    await asyncio.sleep(0.05)
    assert not ended(yard)()
    yard.clock.advance(3700)
    await until(works, ended(yard))
    assert yard.read().error == "train job-1 ran longer than 2:00:00 — raise daemon.job_hours".removeprefix("train ")
    assert not children.is_busy(yard.folder / "job-1")


@pytest.mark.asyncio
async def test_a_few_at_a_time(yard: Yard) -> None:
    """A second job waits until the first has ended; both come to their end."""
    for name in ("job-1", "job-2"):
        yard.job(WAIT, name)
    works = yard.works(at_once=1)
    await until(works, lambda: yard.starts("job-1") == 1)
    for _ in range(3):
        works.tend()
        await asyncio.sleep(0.02)
    assert (works.running, yard.starts("job-2")) == (("job-1",), 0)
    yard.go("job-1")
    yard.go("job-2")
    await until(works, lambda: ended(yard, "job-1")() and ended(yard, "job-2")())
    assert [yard.read(name).state for name in ("job-1", "job-2")] == [JobState.FINISHED] * 2


@pytest.mark.asyncio
async def test_running_work_comes_before_queued_work(yard: Yard) -> None:
    """What a daemon finds running is followed first, whatever it is called, and counts as one of the few."""
    yard.job(WAIT, "job-1")
    yard.job(RESULT, "job-2", state=JobState.RUNNING)
    works = yard.works(at_once=1)
    works.tend()
    assert works.running == ("job-2",)
    yard.go("job-1")
    await until(works, ended(yard, "job-1"))


@pytest.mark.asyncio
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
async def test_a_shortage_of_the_store_does_not_fail_the_work(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk while the lease is renewed ends neither the child nor its job; both are taken up again."""
    real, faults = rows.renew, [ResourceError("the store cannot write", delay=0.05)] * 2

    def renew(*given: Any) -> None:
        if yard.starts() and faults:
            raise faults.pop()
        real(*given)

    monkeypatch.setattr(rows, "renew", renew)
    yard.job(WAIT)
    works = yard.works()

    def both_gone() -> bool:
        yard.clock.advance(1.1)
        return not faults

    await until(works, both_gone)
    yard.go()
    await until(works, ended(yard))
    gc.collect()
    assert (yard.read().state, yard.starts()) == (JobState.FINISHED, 1)


@pytest.mark.asyncio
async def test_a_mark_of_somebody_else_is_not_ended(yard: Yard) -> None:
    """Adopted work that runs too long is only ended when its process is the one that was recorded."""
    yard.job(WAIT)
    with children.launch(["sh", "-c", WAIT], yard.folder / "job-1", os.environ) as child:
        with yard.store.write() as session:
            token = rows.acquire(session, "job-1", yard.clock.now(), timedelta(seconds=1))
            wrong = ProcessMark(pid=child.pid, started=children.mark(child.pid).started - 1)
            rows.mark_running(session, "job-1", token, wrong)
        works = yard.works(longest=timedelta(hours=1))
        works.tend()
        await asyncio.sleep(0.05)
        yard.clock.advance(4000)
        await until(works, ended(yard))
        assert child.poll() is None
        yard.go()
        child.wait(10)
