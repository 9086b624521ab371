"""Long work: one row a job, held by a lease whose token fences off everybody who lost it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from flywheel.core.frozen import Frozen


class JobState(StrEnum):
    """Queued, running, then finished or failed."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


class ProcessMark(Frozen):
    """A process that cannot be mistaken for another: its id and the moment it began."""

    pid: int
    started: float


class Ending(StrEnum):
    """Why a job failed, where a room acts upon it; everything else is what its program said."""

    MEMORY = "memory"
    LIMIT = "limit"
    CANCELLED = "cancelled"


class JobLimits(Frozen):
    """What a piece of work may take, beside what the daemon allows any; `where` says where these are set, for people.

    Hours count the work itself, over every start of it; memory is that of all its processes, disk that of its folder.
    """

    where: str = ""
    longest_hours: float | None = None
    most_memory_gib: float | None = None
    most_disk_gib: float | None = None


class Job(Frozen):
    """A piece of long work and who holds it."""

    id: str
    kind: str
    line: str
    subject: str
    state: JobState
    token: int = 0
    lease_until: datetime | None = None
    process: ProcessMark | None = None
    attempts: int = 0
    folder: str = ""
    cause: int | None = None
    spec: dict[str, Any] = Field(default_factory=dict)
    progress: dict[str, Any] = Field(default_factory=dict)
    error: str = ""
    handled: bool = False

    @property
    def limits(self) -> JobLimits:
        """Return the limits that its room gave it."""
        return JobLimits.model_validate(self.spec.get("limits", {}))

    @property
    def unwanted(self) -> str:
        """Return who wants it ended, and why, as one sentence; empty while nobody does."""
        return str(self.spec.get("unwanted", ""))

    @property
    def ending(self) -> Ending | None:
        """Return why it failed, where that is more than what its program said."""
        told = self.progress.get("ended")
        return Ending(told) if told else None
