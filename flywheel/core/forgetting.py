"""What a person wants forgotten, and what was found of it."""

from typing import Literal

from flywheel.core.frozen import Frozen

ScopeKind = Literal["repo", "session", "example"]


class Scope(Frozen):
    """One repo, session or example by its name; `until_now` lets what comes later in again."""

    kind: ScopeKind
    name: str
    until_now: bool = False
    purge: bool = False


class HoldingDataset(Frozen):
    """A frozen dataset that holds some of it."""

    hash: str
    line: str
    number: int
    examples: int


class TaughtAdapter(Frozen):
    """An adapter that was trained on such a dataset, and its place in front of the agent."""

    name: str
    dataset: str
    state: str


class ForgetReport(Frozen):
    """How much there is of it, and what was made from it; never what it says."""

    outcomes: int = 0
    examples: int = 0
    pairs: int = 0
    calls: int = 0
    datasets: tuple[HoldingDataset, ...] = ()
    adapters: tuple[TaughtAdapter, ...] = ()
    suites: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Return in words what there was of it, and who learned from it."""
        parts = [
            _count(self.outcomes, "outcome"),
            _count(self.examples, "example"),
            _count(self.pairs, "pair"),
            _count(self.calls, "captured call"),
        ]
        told = f"{', '.join(parts[:-1])} and {parts[-1]}"
        if self.adapters:
            told += f"; learned from by {', '.join(f'{one.name} ({one.state})' for one in self.adapters)}"
        return told


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
