"""What a metric gives and what it must offer: the seam of the registry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from flywheel.sandbox.programs import Program, Run


@dataclass(frozen=True)
class Score:
    """Right or wrong, what differed, and whether the answer could not be used at all.

    `parts` are shares between 0 and 1 that are reported and decide nothing: precision, recall, tests passed.
    """

    value: float
    detail: str = ""
    format: str = ""
    unusable: bool = False
    parts: Mapping[str, float] = field(default_factory=dict)


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


@runtime_checkable
class ExecutedMetric(Metric, Protocol):
    """A metric that needs the answer to be run. What is expected stays here; only the program enters the sandbox.

    `score` of such a metric says that nothing was run, and calls the answer unusable.
    """

    def program(self, expected: Any, text: str) -> Program | Score:
        """Return what to run for an answer, or the score of one that holds nothing to run; never raises."""
        ...

    def judge(self, expected: Any, runs: Sequence[Run]) -> Score:
        """Compare what the program's runs did, one for each test in order, with what was expected; never raises."""
        ...
