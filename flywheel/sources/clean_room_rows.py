"""The small rows of a clean-room database: runs, attempts, validations, passes. Values only; the words stay behind."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from flywheel.sources.clean_room_answers import Edit
from flywheel.sources.clean_room_names import TaskName

Slot = tuple[str, str, str]


class Validation(NamedTuple):
    """One run of the tests. `failing` names tests; None when nothing that was written down names any."""

    id: int
    success: bool | None
    failing: tuple[str, ...] | None = None


class Attempt(NamedTuple):
    """One logged answer that was to be applied, and the validations that hang on it, rightly or not."""

    id: int
    name: TaskName
    applied: bool
    at: datetime | None
    edits: tuple[Edit, ...]
    validations: tuple[Validation, ...] = ()
    commit: str = ""
    commit_before: str = ""


class Run(NamedTuple):
    """One orchestrated task.

    `git` is None where the database cannot tell whether a branch was used; `tries` counts the retries begun at each
    thing, logged or not; `commits` are in order; `active` is when its last row was written.
    """

    id: int
    root: str
    repo: str
    status: str
    started: datetime | None
    ended: datetime | None
    git: bool | None
    base: str = ""
    parts: int | None = None
    attempts: tuple[Attempt, ...] = ()
    tries: Mapping[Slot, int] = MappingProxyType({})
    rolled_back: frozenset[str] = frozenset()
    commits: tuple[str, ...] = ()
    active: datetime | None = None

    @property
    def ends(self) -> datetime | None:
        """Return when it was last known to live."""
        return self.ended or self.active or self.started

    def was_tried_after(self, name: TaskName) -> bool:
        """Tell whether the same thing was begun again after this attempt."""
        return self.tries.get(name.slot, 0) > name.attempt


class History(NamedTuple):
    """What the index of the repo knows: the commits it has seen, and when it looked."""

    commits: frozenset[str] = frozenset()
    indexed: tuple[datetime, ...] = ()
