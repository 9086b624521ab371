"""What is watched about work while it runs: how far it is, what it takes, what it died of, and who still wants it."""

import asyncio
import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from daemon_yard import RESULT, WAIT, Yard, ended, until

from flywheel.core.jobs import Ending, JobState
from flywheel.proc import children
from flywheel.store import jobs as rows

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]


def say(*told: dict[str, Any]) -> str:
    """Return a script that says these events."""
    return "; ".join(f"echo '{json.dumps(event)}'" for event in told) + "; "


def limited(**limits: Any) -> dict[str, Any]:
    return {"spec": {"limits": {"where": "[train] of line l", **limits}}}


def ticking(yard: Yard, check: Callable[[], bool], seconds: float = 1.1) -> Callable[[], bool]:
    """Return a check during which time goes on."""

    def checked() -> bool:
        yard.clock.advance(seconds)
        return check()

    return checked


async def test_everything_a_program_tells_is_kept_under_its_own_name(yard: Yard) -> None:
    """Step, loss, held-out loss, pace, time left, last checkpoint: one does not write over another."""
    script = say(
        {"event": "started", "steps": 9, "resumed_from": None, "device": "cpu"},
        {"event": "step", "step": 3, "of": 9, "loss": 0.5, "tokens_per_second": 70.5, "eta_seconds": 8.0},
        {"event": "eval", "step": 3, "loss": 0.75},
        {"event": "checkpoint", "step": 3},
    )
    yard.job(script + WAIT)
    works = yard.works()
    await until(works, ticking(yard, lambda: "checkpoint" in yard.read().progress))
    told = yard.read().progress
    assert told.pop("worked_seconds") >= 0
    assert told == {
        "of": 9, "resumed_from": None, "device": "cpu", "step": 3, "loss": 0.5, "tokens_per_second": 70.5,
        "eta_seconds": 8.0, "eval_step": 3, "eval_loss": 0.75, "checkpoint": 3,
    }  # fmt: skip
    yard.go()
    await until(works, ended(yard))


async def test_work_that_takes_too_many_hours_is_ended_by_name(yard: Yard) -> None:
    """The sentence names the limit, the key and where it is set; the whole group is gone."""
    yard.job("sleep 60 & " + WAIT, **limited(longest_hours=0.5))
    works = yard.works()
    await until(works, ticking(yard, ended(yard), 600))
    job = yard.read()
    assert job.error.endswith(": longest_hours in [train] of line l allows 0.5 — raise it")
    assert (job.state, job.ending) == (JobState.FAILED, Ending.LIMIT)
    assert not children.is_busy(yard.folder / "job-1")


async def test_hours_count_over_every_start_and_every_daemon(yard: Yard) -> None:
    """A crash, a restart of the daemon, and the time in which no daemon looked do not begin the count anew."""
    yard.job(WAIT, **limited(longest_hours=1))
    first = yard.works()
    await until(first, ticking(yard, lambda: yard.read().progress.get("worked_seconds", 0) > 600, 60))
    await first.leave()
    gc.collect()
    yard.clock.advance(1200)
    second = yard.works()
    await until(second, ticking(yard, lambda: yard.read().progress["worked_seconds"] > 1800, 10))
    assert yard.read().progress["worked_seconds"] < 2400
    assert not ended(yard)()
    await until(second, ticking(yard, ended(yard), 300))
    assert yard.read().ending is Ending.LIMIT


async def test_work_that_takes_too_much_memory_is_ended_by_name(yard: Yard) -> None:
    """What all its processes hold, added up, as the system tells it; its room is told that it was memory."""
    hog = 'python3 -c "import time; x = bytearray(120 << 20); time.sleep(60)" & '
    yard.job(hog + hog + WAIT, **limited(most_memory_gib=0.2))
    await until(yard.works(), ticking(yard, ended(yard)))
    job = yard.read()
    assert "GiB of memory: most_memory_gib in [train] of line l allows 0.2 — raise it" in job.error
    assert job.ending is Ending.MEMORY
    assert not children.is_busy(yard.folder / "job-1")


async def test_work_that_fills_its_folder_is_ended_by_name(yard: Yard) -> None:
    """Checkpoints that grow beyond what the line allows end the run, not the disk."""
    yard.job("head -c 30000000 /dev/zero > big; " + WAIT, **limited(most_disk_gib=0.01))
    await until(yard.works(), ticking(yard, ended(yard)))
    job = yard.read()
    assert job.error.startswith("run-1 filled its folder with 0.0")
    assert job.error.endswith(" GiB: most_disk_gib in [train] of line l allows 0.01 — raise it")
    assert job.ending is Ending.LIMIT


async def test_within_its_limits_nothing_happens(yard: Yard) -> None:
    """All three are set, none is reached."""
    yard.job(WAIT, **limited(longest_hours=10, most_memory_gib=5, most_disk_gib=5))
    works = yard.works()
    await until(works, ticking(yard, lambda: yard.read().progress.get("worked_seconds", 0) > 30, 6))
    yard.go()
    await until(works, ended(yard))
    assert yard.read().state is JobState.FINISHED


async def test_unwanted_work_is_ended_with_its_group(yard: Yard) -> None:
    """Asked first, made when it does not listen; the words of whoever ended it are the job's."""
    yard.job("trap '' TERM; sleep 60 & " + WAIT)
    works = yard.works()
    await until(works, lambda: yard.starts() == 1)
    with yard.store.write() as session:
        assert rows.ask_end(session, "job-1", "anna ended it")
    await until(works, ticking(yard, ended(yard)))
    job = yard.read()
    assert (job.error, job.ending, yard.starts()) == ("anna ended it", Ending.CANCELLED, 1)
    assert not children.is_busy(yard.folder / "job-1")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flywheel.daemon.works._GRACE_SECONDS", 0.3)


async def test_unwanted_work_is_never_begun(yard: Yard) -> None:
    """A wish that comes before the first start is enough."""
    yard.job("echo x >> starts; " + RESULT)
    with yard.store.write() as session:
        rows.ask_end(session, "job-1", "anna ended it")
    await until(yard.works(), ended(yard))
    assert (yard.read().ending, yard.starts()) == (Ending.CANCELLED, 0)


async def test_unwanted_work_does_not_wait_for_its_turn(yard: Yard) -> None:
    """A queued job that nobody wants ends at once, however long the one before it takes."""
    yard.job(WAIT, "job-1")
    yard.job("echo x >> starts; " + RESULT, "job-2")
    works = yard.works(at_once=1)
    await until(works, lambda: yard.starts("job-1") == 1)
    with yard.store.write() as session:
        rows.ask_end(session, "job-2", "anna ended it")
    await until(works, ended(yard, "job-2"))
    assert (yard.read("job-2").ending, yard.starts("job-2")) == (Ending.CANCELLED, 0)
    yard.go("job-1")
    await until(works, ended(yard, "job-1"))


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="only Linux can be asked")
async def test_the_kernel_would_end_the_work_before_the_daemon(yard: Yard) -> None:
    """When memory runs out, training gives way to what serves the agent."""
    yard.job(WAIT)
    works = yard.works()
    await until(works, lambda: yard.starts() == 1)
    process = yard.read().process
    assert process is not None
    await until(works, lambda: Path(f"/proc/{process.pid}/oom_score_adj").read_text().strip() == "500")
    yard.go()
    await until(works, ended(yard))


async def test_unwanted_work_is_ended_by_the_next_daemon_too(yard: Yard) -> None:
    """The wish stands in the store: a daemon that dies between the wish and the deed leaves it to its successor."""
    yard.job(WAIT)
    first = yard.works()
    await until(first, lambda: yard.starts() == 1)
    await first.leave()
    gc.collect()
    with yard.store.write() as session:
        rows.ask_end(session, "job-1", "anna ended it")
    await until(yard.works(), ticking(yard, ended(yard)))
    assert yard.read().ending is Ending.CANCELLED


async def test_a_wish_in_the_last_moment_wins_over_the_result(yard: Yard) -> None:
    """Who was told that it is ended must not find it published."""
    yard.job(WAIT)
    works = yard.works()
    await until(works, lambda: yard.starts() == 1)
    with yard.store.write() as session:
        rows.ask_end(session, "job-1", "anna ended it")
    yard.go()
    await until(works, ended(yard))
    assert yard.read().ending is Ending.CANCELLED


async def test_a_program_that_ran_out_of_memory_says_so(yard: Yard) -> None:
    """Its own word is enough; it is not started again, for its room decides about the batch."""
    script = "echo x >> starts; " + say(
        {"event": "out_of_memory", "error": "CUDA out of memory"}, {"event": "failed", "error": "CUDA out of memory"}
    )
    yard.job(script + "exit 1")
    await until(yard.works(), ended(yard))
    job = yard.read()
    assert (job.error, job.ending, yard.starts()) == ("memory ran out: CUDA out of memory", Ending.MEMORY, 1)


@pytest.mark.parametrize(("rose", "ending", "starts"), [(True, Ending.MEMORY, 1), (False, None, 3)])
async def test_the_kernel_s_own_kills_are_told_from_others(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, *, rose: bool, ending: Ending | None, starts: int
) -> None:
    """SIGKILL while the kernel's count of such kills rose was for want of memory; any other is tried again."""
    count = {"kills": 7}
    monkeypatch.setattr("flywheel.daemon.vigils.oom_kills", lambda: count["kills"] + (rose and yard.starts() > 0))
    monkeypatch.setattr("flywheel.daemon.vigils.Vigil.begin", lambda self: setattr(self, "_oom_kills", [7, 7]))
    yard.job("echo x >> starts; kill -9 $$")
    await until(yard.works(), ended(yard))
    job = yard.read()
    assert (job.ending, yard.starts()) == (ending, starts)


async def test_a_run_that_comes_further_each_time_is_not_given_up(yard: Yard) -> None:
    """Only starts that reach no new checkpoint count against it: nine kills, three of them in vain allowed."""
    step = 'n=$(wc -l < starts); echo "{\\"event\\": \\"checkpoint\\", \\"step\\": $n}"; '
    yard.job(f"echo x >> starts; {step} [ $n = 9 ] || kill -9 $$; {RESULT}")
    await until(yard.works(attempts=3), ended(yard))
    assert (yard.read().state, yard.starts()) == (JobState.FINISHED, 9)


async def test_nothing_is_left_behind(yard: Yard, tmp_path: Path) -> None:
    """Ended work can be begun again in the same folder."""
    yard.job("sleep 60 & " + WAIT, **limited(longest_hours=0.5))
    works = yard.works()
    await until(works, ticking(yard, ended(yard), 600))
    await asyncio.sleep(0.05)
    with children.launch(["true"], tmp_path / "job-1", {}) as child:
        assert child.wait(5) == 0
