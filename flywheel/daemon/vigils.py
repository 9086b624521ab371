"""Keeps an eye on a job while its child lives: how far it is, what it takes, what it died of, who still wants it."""

import signal
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

from flywheel.core.clocks import Clock
from flywheel.core.frozen import Frozen
from flywheel.core.jobs import Ending, Job
from flywheel.proc import children
from flywheel.proc.logs import read_events
from flywheel.proc.measures import GIB, folder_size, group_memory, oom_kills

#: What a child tells is kept under these names; other events are its own affair.
_KEPT = {
    "started": {"steps": "of", "resumed_from": "resumed_from", "device": "device"},
    "step": {},
    "progress": {},
    "eval": {"step": "eval_step", "loss": "eval_loss"},
    "checkpoint": {"step": "checkpoint"},
}
_DISK_LOOK_SECONDS = 5.0


class Ended(Frozen):
    """Why a job ended without a result; `paused` is not an end: it waits for its turn on the shared GPU."""

    error: str
    ending: Ending | None = None
    paused: bool = False


class Vigil:
    """One job, from its first start to its end, over every child that works on it."""

    def __init__(self, job: Job, clock: Clock, lease: timedelta) -> None:
        """Go on from what the store knows of the job."""
        self.told: dict[str, Any] = {k: v for k, v in job.progress.items() if k != "worked_seconds"}
        self._job = job
        self._clock = clock
        self._folder = Path(job.folder)
        self._offset = 0
        self._worked = float(job.progress.get("worked_seconds", 0.0)) + self._unwatched(lease)
        self._looked_at = clock.monotonic()
        self._disk_looked_at = -1e9
        # The last two counts: a child may be killed between being seen alive and being looked at.
        self._oom_kills = [oom_kills()] * 2

    @property
    def checkpoint(self) -> int:
        """Return the step of the last checkpoint that was told, or -1."""
        return int(self.told.get("checkpoint", -1))

    def begin(self) -> None:
        """Begin anew with a child that was just started: its log is fresh, and it has not worked yet."""
        self._offset = 0
        self._looked_at = self._clock.monotonic()
        self._oom_kills = [oom_kills()] * 2

    def look(self) -> dict[str, Any]:
        """Return how far the job is and how long it has worked."""
        now = self._clock.monotonic()
        self._worked, self._looked_at = self._worked + now - self._looked_at, now
        self._oom_kills = [self._oom_kills[1], oom_kills()]
        self._read()
        return {**self.told, "worked_seconds": round(self._worked, 1)}

    def fault(self, group: int | None, longest: timedelta) -> Ended | None:
        """Return the first limit that the job is beyond."""
        hours = self._job.limits.longest_hours
        if self._worked > longest.total_seconds():
            return Ended(error=f"{self._job.id} ran longer than {longest} — raise daemon.job_hours")
        if hours is not None and self._worked > hours * 3600:
            return self._beyond("longest_hours", f"worked for {self._worked / 3600:.2g} hours", hours, Ending.LIMIT)
        return self._memory(group) or self._disk()

    def died_of_memory(self, child: "subprocess.Popen[bytes] | None") -> bool:
        """Tell whether the child that is gone said that memory ran out, or was killed by the kernel because of it."""
        if any(event.get("event") == "out_of_memory" for event in read_events(self._folder / "log.jsonl").events):
            return True
        now, before, killed = oom_kills(), self._oom_kills[0], child is None or child.returncode == -signal.SIGKILL
        return killed and now is not None and before is not None and now > before

    def _unwatched(self, lease: timedelta) -> float:
        """Return how long the child worked while no daemon looked."""
        if self._job.lease_until is None or not children.is_busy(self._folder):
            return 0.0
        return max(0.0, (self._clock.now() - (self._job.lease_until - lease)).total_seconds())

    def _read(self) -> None:
        found = read_events(self._folder / "log.jsonl", self._offset)
        self._offset = found.offset
        for event in found.events:
            names = _KEPT.get(str(event.pop("event", "")))
            if names is not None:
                self.told |= {names.get(k, k): v for k, v in event.items() if not names or k in names}

    def _memory(self, group: int | None) -> Ended | None:
        most = self._job.limits.most_memory_gib
        taken = group_memory(group) / GIB if most is not None and group is not None else 0.0
        if most is None or taken <= most:
            return None
        return self._beyond("most_memory_gib", f"took {taken:.2g} GiB of memory", most, Ending.MEMORY)

    def _disk(self) -> Ended | None:
        most = self._job.limits.most_disk_gib
        if most is None or self._clock.monotonic() - self._disk_looked_at < _DISK_LOOK_SECONDS:
            return None
        self._disk_looked_at = self._clock.monotonic()
        taken = folder_size(self._folder) / GIB
        if taken <= most:
            return None
        return self._beyond("most_disk_gib", f"filled its folder with {taken:.2g} GiB", most, Ending.LIMIT)

    def _beyond(self, key: str, what: str, most: float, ending: Ending) -> Ended:
        where = self._job.limits.where
        return Ended(error=f"{self._job.subject} {what}: {key} in {where} allows {most:g} — raise it", ending=ending)
