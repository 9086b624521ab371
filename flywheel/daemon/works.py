"""Long work: starts queued jobs, follows running ones, adopts what a daemon before it left.

The child holds its folder's lock while it lives, so whether work is under way is never a
guess. A job is finished when its result file is there and failed when its process is gone
without one; in between, a job whose process vanished is started again and resumes. It is
given up when several starts in a row came no further, when memory ran out, when it is
beyond a limit, or when nobody wants it any more.
"""

import asyncio
import os
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import structlog

from flywheel.core.clocks import Clock
from flywheel.core.errors import ConflictError, FlywheelError, TemporaryError
from flywheel.core.events import Event
from flywheel.core.frozen import Frozen
from flywheel.core.jobs import Ending, Job, JobState, ProcessMark
from flywheel.core.steps import Steps
from flywheel.core.turns import may_work
from flywheel.daemon.vigils import Ended, Vigil
from flywheel.proc import children
from flywheel.proc.logs import last_error, read_events
from flywheel.proc.measures import offer_first
from flywheel.store import jobs as rows
from flywheel.store.ledger import append
from flywheel.store.stores import Store
from flywheel.store.turns import turn_of

log = structlog.get_logger()

_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 10.0  # between asking a child to leave and making it


class WorkLimits(Frozen):
    """How long work may hold its lease, run, and how often it may be started."""

    lease: timedelta = timedelta(seconds=60)
    longest: timedelta = timedelta(hours=24)
    attempts: int = 5
    at_once: int = 1
    nice: int = 10
    takes_turns: bool = False
    gpu_share: float | None = None


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
            is_known = job.state is JobState.RUNNING or bool(job.unwanted)
            if job.id in self._followed or not (room or is_known):
                continue
            if is_known or self._has_turn(job) or children.is_busy(Path(job.folder)):
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
            ended = await self._outcome(job, token)
            if ended is not None and ended.paused:
                self._pause(job, token)
                return
            self._steps.enter(f"end {job.kind}")
            with self._store.write() as session:
                unwanted = _unwanted(rows.job_by_id(session, job.id))
                ended = Ended(error=unwanted, ending=Ending.CANCELLED) if unwanted else ended
                rows.finish(session, job.id, token, *((ended.error, ended.ending) if ended else ()))
            self._steps.leave()
            log.info("daemon.work_ended", job=job.id, error=ended.error if ended else "")
        except ConflictError as conflict:
            log.warning("daemon.work_lost", job=job.id, reason=str(conflict))
        except TemporaryError as shortage:
            # The child goes on; the job is taken up again when what ran out may be back.
            log.warning("daemon.work_waits", job=job.id, reason=str(shortage))
            await asyncio.sleep(shortage.delay)

    async def _outcome(self, job: Job, token: int) -> Ended | None:
        try:
            return await self._see_through(job, token)
        except (ConflictError, TemporaryError):
            raise
        except FlywheelError as error:
            return Ended(error=str(error))
        except Exception as error:
            # The supervised edge: a job that cannot even be followed is ended, not tried for ever.
            log.exception("daemon.work_failed", job=job.id)
            return Ended(error=f"{type(error).__name__}: {error}")

    async def _see_through(self, job: Job, token: int) -> Ended | None:
        """Run the job until its result is there; return why not when that cannot be."""
        # What ended with the daemon before does not count as a fault of the work.
        folder, starts, vain = Path(job.folder), 0, 0
        vigil = Vigil(job, self._clock, self.limits.lease)
        ended = await self._wait_for_child(job, token, vigil)
        while ended is None and not (folder / job.spec["result"]).is_file():
            if vain >= self.limits.attempts or (starts and _gave_up(folder)):
                return Ended(error=last_error(folder))
            before = vigil.checkpoint
            ended = await self._run(job, token, vigil, again=job.attempts + starts > 0)
            starts += 1
            vain = vain + 1 if vigil.checkpoint <= before else 0
        return ended

    async def _run(self, job: Job, token: int, vigil: Vigil, *, again: bool) -> Ended | None:
        if self._is_unwanted(job):
            return Ended(error="nobody wants it any more", ending=Ending.CANCELLED)
        if not self._has_turn(job):
            return Ended(error="it waits for its turn on the GPU", paused=True)
        folder = Path(job.folder)
        (folder / "log.jsonl").unlink(missing_ok=True)
        env = {**os.environ, **job.spec.get("env", {}), **_share(job, self.limits.gpu_share)}
        child = children.launch(job.spec["argv"], folder, env, self.limits.nice)
        offer_first(child.pid)
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
        vigil.begin()
        return await self._wait_for_child(job, token, vigil, child)

    async def _wait_for_child(
        self, job: Job, token: int, vigil: Vigil, child: "subprocess.Popen[bytes] | None" = None
    ) -> Ended | None:
        """Return when no process is at work in the job's folder, renewing the lease all the while.

        What it returns is the reason to give the job up: a limit, a person's wish, or that memory ran out.
        """
        folder, renewed = Path(job.folder), -1e9
        while _alive(child, folder):
            if self._clock.monotonic() - renewed > 1.0:
                renewed = self._clock.monotonic()
                unwanted = self._renew(job, token, vigil)
                if ended := self._reason_to_end(job, vigil, child, unwanted=unwanted):
                    await self._stop(job, child, whoever=ended.paused)
                    return ended
            await asyncio.sleep(_LOOK_SECONDS)
        starved = vigil.died_of_memory(child)
        vigil.look()  # what the child told last counts, too
        if starved and not (folder / job.spec["result"]).is_file():
            return Ended(error=f"memory ran out: {last_error(folder)}", ending=Ending.MEMORY)
        return None

    def _renew(self, job: Job, token: int, vigil: Vigil) -> bool:
        """Keep the lease and tell how far the job is; return whether nobody wants it any more."""
        with self._store.write() as session:
            rows.renew(session, job.id, token, self._clock.now() + self.limits.lease, vigil.look())
            return bool(_unwanted(rows.job_by_id(session, job.id)))

    def _reason_to_end(
        self, job: Job, vigil: Vigil, child: "subprocess.Popen[bytes] | None", *, unwanted: bool
    ) -> Ended | None:
        if unwanted:
            return Ended(error="nobody wants it any more", ending=Ending.CANCELLED)
        if job.kind == "train" and not self._has_turn(job):
            return Ended(error="its turn on the GPU is over", paused=True)
        process = _process(job, child)
        return vigil.fault(process.pid if process else None, self.limits.longest)

    def _has_turn(self, job: Job) -> bool:
        """Tell whether the job may be at work now, where serving and training take turns on one GPU."""
        with self._store.read() as session:
            return may_work(job.kind, turn_of(session), takes_turns=self.limits.takes_turns)

    def _pause(self, job: Job, token: int) -> None:
        """Put a job that gave the GPU back into the queue: the next turn goes on from its last whole checkpoint."""
        self._steps.enter(f"pause {job.kind}")
        with self._store.write() as session:
            rows.pause(session, job.id, token)
            known = rows.job_by_id(session, job.id)
            if job.kind == "train" and known is not None and known.attempts:
                at, step = self._clock.now(), known.progress.get("checkpoint")
                append(session, Event(kind="train.run_paused", at=at, line=job.line, subject=job.subject,
                                      cause=turn_of(session).cause, body={"checkpoint": step}))  # fmt: skip
        self._steps.leave()
        log.info("daemon.work_paused", job=job.id)

    def _is_unwanted(self, job: Job) -> bool:
        with self._store.read() as session:
            return bool(_unwanted(rows.job_by_id(session, job.id)))

    async def _stop(self, job: Job, child: "subprocess.Popen[bytes] | None", *, whoever: bool) -> None:
        """End the whole group: asked first, made after a while; `whoever` is at work there, if need be."""
        process, folder = _process(job, child), Path(job.folder)
        for force in (False, True):
            if process is None or not children.end(process, force=force):
                others = children.at_work(folder) if whoever else []  # started and never written down
                if not [other for other in others if children.end(other, force=force)]:
                    break
            left = _GRACE_SECONDS
            while children.is_busy(folder) and left > 0:
                await asyncio.sleep(_LOOK_SECONDS)
                left -= _LOOK_SECONDS
            if not children.is_busy(folder):
                break
        left = _GRACE_SECONDS
        while _alive(child, folder) and left > 0:  # sees our own child off
            await asyncio.sleep(_LOOK_SECONDS)
            left -= _LOOK_SECONDS


def _share(job: Job, share: float | None) -> dict[str, str]:
    """Return what tells a training process how much of the GPU is its own; the model server has the rest."""
    if share is None or job.kind != "train":
        return {}
    return {"FLYWHEEL_GPU_SHARE": f"{share:g}", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": f"{round(share * 100)}"}


def _unwanted(job: Job | None) -> str:
    return job.unwanted if job else ""


def _process(job: Job, child: "subprocess.Popen[bytes] | None") -> ProcessMark | None:
    return children.mark(child.pid) if child is not None else job.process


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
