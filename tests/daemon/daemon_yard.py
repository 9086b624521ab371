"""A store with jobs on it, and daemons that come and go."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flywheel.core.clocks import ManualClock
from flywheel.core.jobs import Job, JobState
from flywheel.core.steps import Steps
from flywheel.daemon.works import WorkLimits, Works
from flywheel.store import jobs as rows
from flywheel.store.ledger import events
from flywheel.store.stores import Store

RESULT = "mkdir -p out && echo '{}' > out/result.json"
WAIT = "echo x >> starts; while [ ! -e go ]; do sleep 0.02; done; " + RESULT


class Yard:
    """A store with jobs, and daemons that come and go on it."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.clock = ManualClock()
        self.woken: list[str] = []
        self.heard: list[str] = []

    def works(self, **limits: Any) -> Works:
        """Return a daemon's works with these limits."""
        limits = {"nice": 0, "attempts": 3} | limits
        return Works(self.store, self.clock, Steps(self.heard.append), WorkLimits(**limits), self.woken.append)

    def job(self, script: str, name: str = "job-1", kind: str = "train", **given: Any) -> str:
        """Enqueue a job that runs a shell script."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        spec = {"argv": ["sh", "-c", script], "env": {"ANSWER": "42"}, "result": "out/result.json"} | given.pop(
            "spec", {}
        )
        values = {"state": JobState.QUEUED, "folder": str(folder), "spec": spec, "cause": 9} | given
        with self.store.write() as session:
            rows.enqueue(session, Job(id=name, kind=kind, line="l", subject="run-1", **values))
        return name

    def read(self, name: str = "job-1") -> Job:
        """Return the job as it stands."""
        with self.store.read() as session:
            found = rows.job_by_id(session, name)
        assert found is not None
        return found

    def starts(self, name: str = "job-1") -> int:
        """Count how often the script was begun."""
        path = self.folder / name / "starts"
        return len(path.read_text().split()) if path.exists() else 0

    def go(self, name: str = "job-1") -> None:
        """Let the script end."""
        (self.folder / name / "go").touch()

    def resumed(self) -> list[int | None]:
        """Return the causes of every resumption on record."""
        with self.store.read() as session:
            return [event.cause for event in events(session, kinds=["train.run_resumed"])]


async def until(works: Works, check: Callable[[], bool], seconds: float = 20) -> None:
    """Tend the works, as the daemon does after every wake-up, until something is so."""
    async with asyncio.timeout(seconds):
        while not check():
            works.tend()
            await asyncio.sleep(0.01)


def ended(yard: Yard, name: str = "job-1") -> Callable[[], bool]:
    return lambda: yard.read(name).state in {JobState.FINISHED, JobState.FAILED}
