"""What is read ahead of a source while there is more to read than one batch: rows fetched, and who reads them.

Rows fetched in one transaction stand for the same rows in the next one only while nobody wrote in between. What is
read of them depends on nothing else, so a batch is the same with what was read ahead and without.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flywheel.sources.helpers import Given, Helpers
from flywheel.sources.task_readings import TaskReading
from flywheel.store.words import Words

Key = tuple[tuple[str, ...], tuple[Any, ...]]  # a chunk's tasks, and their rows' values for them


class Arrived(NamedTuple):
    """A call row that was not there at the last look."""

    row: int
    task: str | None
    raw: Any


class Arrivals(NamedTuple):
    """The call rows after a row, and whether there are more."""

    rows: Sequence[Arrived]
    more: bool


class Backlog:
    """One object lives as long as its reader."""

    def __init__(self, helpers: Helpers | None = None) -> None:
        """Know nothing ahead."""
        self.helpers = helpers or Helpers()
        self._snapshot: object = None
        self._still = True
        self._arrivals: dict[int, Arrivals] = {}
        self._chunks: dict[Key, Given] = {}

    def begin(self, snapshot: object) -> None:
        """Begin a look at a state of the source; what is known of another state is forgotten."""
        self._still = self._snapshot is None or snapshot == self._snapshot
        if not self._still:
            self.forget()
        self._snapshot = snapshot

    def pays(self) -> bool:
        """Tell whether reading ahead may be of use: somebody can do it, and nobody wrote since the last look."""
        return self._still and self.helpers.has_room()

    def arrivals(self, after: int) -> Arrivals | None:
        """Return what arrived after a row, when that is known."""
        return self._arrivals.pop(after, None)

    def take(self, key: Key) -> Given | None:
        """Return a chunk that was given away before, when it is the same."""
        return self._chunks.pop(key, None)

    def expect(self, after: int, arrivals: Arrivals) -> None:
        """Keep for the next look what will have arrived after a row."""
        self._arrivals = {after: arrivals}

    def keep(self, key: Key, given: Given) -> None:
        """Keep for the next look a chunk that was given away."""
        self._chunks[key] = given

    def forget(self) -> None:
        """Let go of what was read ahead."""
        self.helpers.forget(self._chunks.values())
        self._arrivals, self._chunks = {}, {}

    def collect(self, given: Sequence[Given]) -> tuple[list[TaskReading], Mapping[str, Words]]:
        """Return what these chunks say, in order."""
        readings: list[TaskReading] = []
        words: dict[str, Words] = {}
        for one in given:
            found = self.helpers.reading(one)
            readings += found.readings
            words |= found.words
        return readings, words

    def close(self) -> None:
        """Forget everything and send the helpers away."""
        self.helpers.close()
        self._arrivals, self._chunks, self._snapshot = {}, {}, None
