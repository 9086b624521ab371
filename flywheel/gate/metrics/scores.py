"""What a metric gives and what it must offer: the seam of the registry."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Score:
    """Right or wrong, what differed, and whether the answer could not be used at all."""

    value: float
    detail: str = ""
    format: str = ""
    unusable: bool = False


@dataclass(frozen=True)
class Expectation:
    """What counts as right, made from a held-out answer; `category` is empty where the example knows better."""

    expected: Any
    category: str = ""
    format: str = ""


class Metric(Protocol):
    """One way to tell right from wrong. Pure: the same answer always gets the same score."""

    @property
    def name(self) -> str:
        """Return the name that gates and problems use."""
        ...

    def expect(self, answer: str) -> Expectation | None:
        """Return what a held-out answer asks for, or None when this metric cannot judge such answers."""
        ...

    def score(self, expected: Any, text: str, native: Sequence[Any] = ()) -> Score:
        """Compare an answer with what was expected; never raises."""
        ...
