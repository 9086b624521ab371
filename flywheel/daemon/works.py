"""Long work: starts queued jobs, follows running ones, adopts what a daemon before it left.

The child holds its folder's lock while it lives, so whether work is under way is never a
guess. A job is finished when its result file is there and failed when its process is gone
without one; in between, a job whose process vanished is started again and resumes.
"""

import asyncio
import os
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from flywheel.core.clocks import Clock
from flywheel.core.errors import ConflictError, FlywheelError, PermanentError, TemporaryError
from flywheel.core.events import Event
from flywheel.core.frozen import Frozen
from flywheel.core.jobs import Job, JobState
from flywheel.core.steps import Steps
from flywheel.proc import children
from flywheel.proc.logs import last_error, read_events
from flywheel.store import jobs as rows
from flywheel.store.ledger import append
from flywheel.store.stores import Store

log = structlog.get_logger()

_LOOK_SECONDS = 0.2
_PROGRESS = {"progress", "step", "eval", "started"}


class WorkLimits(Frozen):
    """How long work may hold its lease, run, and how often it may be started."""

    lease: timedelta = timedelta(seconds=60)
    longest: timedelta = timedelta(hours=24)
    attempts: int = 5
    at_once: int = 1
    nice: int = 10


class Works:
    """Keeps every open job moving; `tend` may be called at any time and only does what is missing."""

    def __init__(
        self, store: Store, clock: Clock, steps: Steps, limits: WorkLimits, wake: Callable[[str], None]
    ) -> None:
        """Tend the jobs of this store; `wake` is called when one ends."""
        self._store = store
        self._clock = clock
        self._steps = steps
        self.limits = limits
        self._wake = wake
        self._followed: dict[str, asyncio.Task[None]] = {}

    @property
    def running(self) -> tuple[str, ...]:
        """Return the ids of the jobs that are followed now."""
        return tuple(self._followed)

    def tend(self) -> None:
        """Follow every running job and start queued ones, a few at a time."""
        with self._store.read() as session:
            jobs = rows.open_jobs(session)
        jobs.sort(key=lambda job: job.state is JobState.QUEUED)
        for job in jobs:
            room = len(self._followed) < self.limits.at_once
            if job.id not in self._followed and (room or job.state is JobState.RUNNING):
                self._take(job)

    async def leave(self) -> None:
        """Stop following. The children go on: the next daemon adopts them."""
        tasks = list(self._followed.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _take(self, job: Job) -> None:
        self._steps.enter(f"work on {job.kind}")
        try:
            with self._store.write() as session:
                # Only one daemon runs on a store, and this is it: whoever held the lease is gone.
                token = rows.take_over(session, job.id, self._clock.now(), self.limits.lease)
        finally:
            self._steps.leave()
        task = asyncio.create_task(self._follow(job, token), name=job.id)
        self._followed[job.id] = task
        task.add_done_callback(lambda ended: self._forget(job.id, ended))

    def _forget(self, job_id: str, ended: asyncio.Task[None]) -> None:
        self._followed.pop(job_id, None)
        if not ended.cancelled():
            if ended.exception() is not None:
                log.error("daemon.work_failed", job=job_id, reason=repr(ended.exception()))
            self._wake(f"{job_id} ended")

    async def _follow(self, job: Job, token: int) -> None:
        try:
            error = await self._outcome(job, token)
            self._steps.enter(f"end {job.kind}")
            with self._store.write() as session:
                rows.finish(session, job.id, token, error)
            self._steps.leave()
            log.info("daemon.work_ended", job=job.id, error=error)
        except ConflictError as conflict:
            log.warning("daemon.work_lost", job=job.id, reason=str(conflict))
        except TemporaryError as shortage:
            # The child goes on; the job is taken up again when what ran out may be back.
            log.warning("daemon.work_waits", job=job.id, reason=str(shortage))
            await asyncio.sleep(shortage.delay)

    async def _outcome(self, job: Job, token: int) -> str:
        try:
            return await self._see_through(job, token)
        except (ConflictError, TemporaryError):
            raise
        except FlywheelError as error:
            return str(error)
        except Exception as error:
            # The supervised edge: a job that cannot even be followed is ended, not tried for ever.
            log.exception("daemon.work_failed", job=job.id)
            return f"{type(error).__name__}: {error}"

    async def _see_through(self, job: Job, token: int) -> str:
        """Run the job until its result is there; return why not when that cannot be."""
        # What ended with the daemon before does not count as a fault of the work.
        folder, attempts = Path(job.folder), 0
        while True:
            await self._wait_for_child(job, token)
            if (folder / job.spec["result"]).is_file():
                return ""
            if attempts >= self.limits.attempts or (attempts and _gave_up(folder)):
                return last_error(folder)
            await self._run(job, token, again=job.attempts + attempts > 0)
            attempts += 1

    async def _run(self, job: Job, token: int, *, again: bool) -> None:
        folder = Path(job.folder)
        (folder / "log.jsonl").unlink(missing_ok=True)
        env = {**os.environ, **job.spec.get("env", {})}
        child = children.launch(job.spec["argv"], folder, env, self.limits.nice)
        self._steps.enter(f"run {job.kind}")
        with self._store.write() as session:
            rows.mark_running(session, job.id, token, children.mark(child.pid))
            if again and job.kind == "train":
                append(
                    session,
                    Event(
                        kind="train.run_resumed",
                        at=self._clock.now(),
                        line=job.line,
                        subject=job.subject,
                        cause=job.cause,
                    ),
                )
        self._steps.leave()
        log.info("daemon.work_started", job=job.id, pid=child.pid, again=again)
        await self._wait_for_child(job, token, child)

    async def _wait_for_child(self, job: Job, token: int, child: "subprocess.Popen[bytes] | None" = None) -> None:
        """Return when no process is at work in the job's folder, renewing the lease all the while."""
        folder = Path(job.folder)
        deadline = self._clock.monotonic() + self.limits.longest.total_seconds()
        renewed, seen = -1e9, _Progress(folder)
        while _alive(child, folder):
            if self._clock.monotonic() > deadline:
                self._end(job, child)
                await asyncio.sleep(_LOOK_SECONDS)
                _alive(child, folder)  # sees our own child off
                raise PermanentError(f"{job.id} ran longer than {self.limits.longest}", "raise daemon.job_hours")
            if self._clock.monotonic() - renewed > 1.0:
                renewed = self._clock.monotonic()
                with self._store.write() as session:
                    rows.renew(session, job.id, token, self._clock.now() + self.limits.lease, seen.look())
            await asyncio.sleep(_LOOK_SECONDS)

    def _end(self, job: Job, child: "subprocess.Popen[bytes] | None") -> None:
        process = children.mark(child.pid) if child is not None else job.process
        if process is not None:
            children.end(process, force=True)


class _Progress:
    """The newest progress a child told, read as its log grows."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "log.jsonl"
        self._offset = 0
        self._last: dict[str, Any] = {}

    def look(self) -> dict[str, Any]:
        found = read_events(self._path, self._offset)
        self._offset = found.offset
        for event in found.events:
            if event.get("event") in _PROGRESS:
                self._last = {**self._last, **{k: v for k, v in event.items() if k != "event"}}
        return self._last


def _alive(child: "subprocess.Popen[bytes] | None", folder: Path) -> bool:
    # Our own child is reaped here; anybody's child holds the lock.
    if child is not None:
        return child.poll() is None
    return children.is_busy(folder)


def _gave_up(folder: Path) -> bool:
    """Tell whether the program itself said that trying again is of no use."""
    try:
        return any(event.get("event") == "failed" for event in read_events(folder / "log.jsonl").events)
    except (OSError, FlywheelError):
        return False
