"""What a comparison of labels with a known truth is made of: one judged call, and what a set of truth offers.

A further kind of folder is added by a class with `accepts` and `judged` in a module of its own, and its name in
`label_truth.TRUTHS`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from flywheel.core.outcomes import Outcome

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
