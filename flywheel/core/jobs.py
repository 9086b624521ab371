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
