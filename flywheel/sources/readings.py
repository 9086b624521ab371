"""What every kind of source hands over: tasks read whole, rows refused, and how far it got."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic import Field

from flywheel.core.frozen import Frozen
from flywheel.core.outcomes import Outcome
from flywheel.store.source_marks import Mark

Cursor = dict[str, Any]


class Refusal(Frozen):
    """A row that cannot be an outcome: where it stands and why, never what it holds."""

    row: str
    rule: str
    reason: str


class TaskReading(Frozen):
    """One task, read whole.

    `settled`: its end is known; `has_row`: the agent still says something about it; `mirrors`: what is stored of the
    task and not among these outcomes is gone at the source (edited, reverted, deleted) and must teach nobody;
    `unchanged`: keys of outcomes that are there as they were last handed over, and need not be stored again.
    """

    task: str
    first: int
    settled: bool
    has_row: bool
    outcomes: tuple[Outcome, ...]
    refusals: tuple[Refusal, ...] = ()
    mirrors: bool = False
    unchanged: frozenset[str] = frozenset()


class Batch(Frozen):
    """What one short look brought; the cursor is valid once the tasks are stored.

    `restarted`: the source is another one than before, row numbers that were remembered mean nothing any more.
    `marks`: how records looked as they were read (None: there is no such record any more); `spoiled`: every mark that
    is not among them is void.
    """

    tasks: tuple[TaskReading, ...]
    cursor: dict[str, Any]
    more: bool
    restarted: bool = False
    refusals: tuple[Refusal, ...] = ()
    marks: Mapping[str, Mark | None] = Field(default_factory=dict)
    spoiled: bool = False


class PendingTasks(Protocol):
    """Our own list of the tasks of a source that had not ended when they were last read."""

    def among(self, tasks: Sequence[str]) -> Mapping[str, int]:
        """Return which of these are pending, with the row of their first call."""
        ...

    def newest(self, limit: int) -> Mapping[str, int]:
        """Return the pending tasks met last."""
        ...

    def after(self, position: int, limit: int) -> tuple[Mapping[str, int], int]:
        """Return older ones from a position on, and the next position (0 at the end)."""
        ...

    def known(self, tasks: Sequence[str]) -> frozenset[str]:
        """Return which of these have stored outcomes."""
        ...

    def marks(self) -> Mapping[str, Mark]:
        """Return how each record of the source looked when it was last read."""
        ...


class Reader(Protocol):
    """A source of any kind. Raises `SourceProblemError` when it cannot be read now."""

    @property
    def name(self) -> str:
        """Return the source's name in the settings."""
        ...

    def check(self) -> None:
        """Raise SettingsError when the settings do not fit what is there; a source that is away is fine."""
        ...

    def changed(self) -> bool:
        """Tell whether there may be something new, at a cost that does not depend on how much is there.

        What was found once is told each time until it was read: the daemon asks, and then the room asks again.
        """
        ...

    def read(self, cursor: Mapping[str, Any], pending: PendingTasks) -> Batch:
        """Return the next bounded batch after the cursor, in one short transaction."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...
