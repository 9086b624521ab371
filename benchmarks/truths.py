"""What a comparison of labels with a known truth is made of: one judged call, and what a set of truth offers.

A further kind of folder is added by a class with `accepts` and `judged` in a module of its own, and its name in
`label_truth.TRUTHS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from flywheel.core.outcomes import Outcome
from flywheel.sources.readings import Reader

Truth = Literal["good", "bad", "neither", "untold"]


@dataclass(frozen=True)
class Judged:
    """One call with its label and the truth about it.

    `neither`: it was not wrong, but did not last either; to call it positive or negative is an error both ways.
    `untold`: the truth says nothing about it; it is not counted. `answer` tells an answer that made or planned
    something from a question asked on the way.
    """

    where: str
    kind: str
    name: str
    label: str
    truth: Truth
    why: str = ""
    answer: bool = True


class Truths(Protocol):
    """A kind of folder that holds records of an agent, and what really happened."""

    def accepts(self, folder: Path) -> bool:
        """Tell whether this folder is of the kind."""
        ...

    def judged(self, folder: Path) -> list[Judged]:
        """Ingest the folder's records and set each label beside the truth."""
        ...

    def outcomes(self, folder: Path) -> list[Outcome]:
        """Ingest the folder's records."""
        ...


class NobodyWaits:
    """A list of unfinished tasks that stays empty: everything is read once. See `readings.PendingTasks`."""

    def among(self, tasks: Any) -> Mapping[str, int]:  # noqa: ARG002, D102
        return {}

    def newest(self, limit: int) -> Mapping[str, int]:  # noqa: ARG002, D102
        return {}

    def after(self, position: int, limit: int) -> tuple[Mapping[str, int], int]:  # noqa: ARG002, D102
        return {}, 0

    def known(self, tasks: Any) -> frozenset[str]:  # noqa: ARG002, D102
        return frozenset()

    def marks(self) -> Mapping[str, Any]:  # noqa: D102
        return {}


def everything(reader: Reader) -> list[Outcome]:
    """Return what a source brings when it is read from its beginning to its end."""
    cursor: Mapping[str, Any] = {}
    found: dict[str, Outcome] = {}
    more = True
    while more:
        batch = reader.read(cursor, NobodyWaits())
        cursor, more = batch.cursor, batch.more
        found |= {outcome.key: outcome for task in batch.tasks for outcome in task.outcomes}
    reader.close()
    return list(found.values())
