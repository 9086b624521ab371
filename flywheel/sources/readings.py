"""What every kind of source hands over: tasks read whole, rows refused, and how far it got."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic import Field, SkipValidation

from flywheel.core.frozen import Frozen
from flywheel.sources.task_readings import Refusal, TaskReading
from flywheel.store.source_marks import Mark
from flywheel.store.words import Words

__all__ = ["Batch", "Cursor", "PendingTasks", "Reader", "Refusal", "TaskReading"]

Cursor = dict[str, Any]


class Batch(Frozen):
    """What one short look brought; the cursor is valid once the tasks are stored.

    `restarted`: the source is another one than before, row numbers that were remembered mean nothing any more.
    `marks`: how records looked as they were read (None: there is no such record any more); `spoiled`: every mark that
    is not among them is void. `words`: what was worked out already of some outcomes' words, by their keys.
    """

    tasks: tuple[TaskReading, ...]
    cursor: dict[str, Any]
    more: bool
    restarted: bool = False
    refusals: tuple[Refusal, ...] = ()
    marks: Mapping[str, Mark | None] = Field(default_factory=dict)
    spoiled: bool = False
    words: SkipValidation[Mapping[str, Words]] = Field(default_factory=dict)


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
