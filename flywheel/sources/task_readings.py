"""A task as it was read, whatever kind of source it stands in."""

from flywheel.core.frozen import Frozen
from flywheel.core.outcomes import Outcome


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
