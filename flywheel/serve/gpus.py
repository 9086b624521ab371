"""Reads the shared GPU: whose turn it is, which runs want it, which still have a process."""

from datetime import datetime, timedelta
from pathlib import Path

from sqlmodel import Session

from flywheel.core.jobs import Job, JobState
from flywheel.core.turns import Phase
from flywheel.proc.children import is_busy
from flywheel.serve.sharing import GpuView, Trainee
from flywheel.serve.sites import Site
from flywheel.store.jobs import open_jobs, unhandled_jobs
from flywheel.store.turns import turn_of

#: In these a server that cannot be reached is one that we stopped, or that is not up again yet.
_MAY_BE_DOWN: frozenset[Phase] = frozenset({"yielding", "resting", "returning", "waking"})


def gpu_view(session: Session, site: Site) -> GpuView:
    """Return the shared GPU as the store and the locks of the runs' folders tell it."""
    turn = turn_of(session)
    view = GpuView(terms=site.gpu, turn=turn, settle_seconds=site.work_seconds)
    if not (site.gpu.takes_turns or not turn.is_serving):
        return view
    runs = unhandled_jobs(session, "train")
    wanting = [job for job in runs if job.state in {JobState.QUEUED, JobState.RUNNING} and not job.unwanted]
    return view.model_copy(
        update={
            "trainees": tuple(_trainee(job) for job in wanting),
            # Only asked where it matters: the question itself touches the lock that a starting run takes.
            "at_work": tuple(job.subject for job in runs if turn.phase == "returning" and is_busy(Path(job.folder))),
            "measuring": any(job.state is JobState.RUNNING for job in open_jobs(session, "measure")),
            "in_idle_window": site.is_idle() if wanting else True,
        }
    )


def asks_for_sleep(gpu: GpuView) -> bool:
    """Tell whether a server may be asleep by our doing, or is to be."""
    return gpu.terms.sharing == "sleep" or (gpu.turn.way == "sleep" and not gpu.turn.is_serving)


def may_be_down(gpu: GpuView, now: datetime) -> bool:
    """Tell whether a server that cannot be reached is just where the turn wants it."""
    turn = gpu.turn
    if turn.phase not in _MAY_BE_DOWN:
        return False
    waited = turn.since is not None and now >= turn.since + timedelta(seconds=gpu.terms.start_seconds)
    return turn.phase != "waking" or not waited


def _trainee(job: Job) -> Trainee:
    return Trainee(run=job.subject, line=job.line, cause=job.cause)
