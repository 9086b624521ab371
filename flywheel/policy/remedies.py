"""What is changed about a line's next run because of what its last reports say. Pure."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from pydantic import Field, model_validator

from flywheel.core.facts import Facts
from flywheel.core.frozen import Frozen
from flywheel.core.lines import Line
from flywheel.policy.predicates import NumberFact, number
from flywheel.policy.rules import Conditions, Why

_MOST_TIMES = 8  # halved more often a learning rate teaches nothing; the guardrails have held the line long before


class Changes(Frozen):
    """Keys of a line that get another value; those left out stay as the line has them."""

    rank: int | None = Field(default=None, gt=0, description="train.hyperparameters.rank")
    alpha: int | None = Field(default=None, gt=0, description="train.hyperparameters.alpha")
    learning_rate: float | None = Field(default=None, gt=0, description="train.hyperparameters.learning_rate")
    epochs: float | None = Field(default=None, gt=0, description="train.hyperparameters.epochs")
    max_steps: int | None = Field(default=None, ge=1, description="train.hyperparameters.max_steps")
    accumulation: int | None = Field(default=None, gt=0, description="train.hyperparameters.accumulation")
    layers: int | None = Field(default=None, ge=0, description="train.hyperparameters.layers")
    eval_steps: int | None = Field(default=None, ge=0, description="train.hyperparameters.eval_steps")
    save_steps: int | None = Field(default=None, gt=0, description="train.hyperparameters.save_steps")
    patience: int | None = Field(default=None, ge=0, description="train.hyperparameters.patience")
    focus: float | None = Field(default=None, ge=0, le=0.5, description="dataset.focus")

    @property
    def given(self) -> dict[str, Any]:
        """Return the keys that are named."""
        return self.model_dump(exclude_none=True)


class Factors(Frozen):
    """Numbers of a line that are multiplied."""

    learning_rate: float | None = Field(default=None, gt=0, le=1, description="train.hyperparameters.learning_rate")

    @property
    def given(self) -> dict[str, float]:
        """Return the keys that are named."""
        return self.model_dump(exclude_none=True)


class Remedy(Frozen):
    """For these lines, while all this holds: what their next run has instead."""

    name: str = Field(description="the remedy's name")
    why: Why = Field(description="the reason, for whoever wonders about a run's numbers")
    lines: tuple[str, ...] = Field(default=(), description="the lines it is for; empty means all")
    when: Conditions = Field(min_length=1, description="the cases it applies to: all of these hold")
    change: Changes = Field(default=Changes(), description="keys of the line that get another value")
    times: Factors = Field(default=Factors(), description="numbers of the line that are multiplied")
    repeat: NumberFact | None = Field(default=None, description="the fact that says how often they are multiplied")

    @model_validator(mode="after")
    def _does_something(self) -> "Remedy":
        if not self.change.given and not self.times.given:
            raise ValueError("needs 'change' or 'times': it changes nothing")
        if self.repeat and not self.times.given:
            raise ValueError("'repeat' says how often 'times' is applied, and there is no 'times'")
        return self

    def applies(self, line: str, facts: Facts) -> bool:
        """Tell whether the line needs it; what is unknown is no reason."""
        return (not self.lines or line in self.lines) and all(each.holds(facts) for each in self.when)

    @property
    def reads(self) -> tuple[str, ...]:
        """Return every fact it looks at, once, in order."""
        repeated = (self.repeat,) if self.repeat else ()
        return tuple(dict.fromkeys((*(name for each in self.when for name in each.reads), *repeated)))


class Treated(NamedTuple):
    """A line as its next run has it, and the remedies that made it so."""

    line: Line
    remedies: tuple[str, ...]


def treat(line: Line, facts: Facts, remedies: Iterable[Remedy]) -> Treated:
    """Return the line with all that applies to it: first what is set, in the order of the names, then the factors."""
    applied = sorted((one for one in remedies if one.applies(line.name, facts)), key=lambda one: one.name)
    if not applied:
        return Treated(line, ())
    changes = {key: value for one in applied for key, value in one.change.given.items()}
    dataset = {"focus": changes.pop("focus")} if "focus" in changes else {}
    numbers = {**line.train.hyperparameters.model_dump(), **changes}
    for one in applied:
        for key, factor in one.times.given.items():
            numbers[key] *= factor ** _often(one, facts)
    train = line.train.model_copy(update={"hyperparameters": type(line.train.hyperparameters)(**numbers)})
    plan = line.dataset.model_copy(update=dataset)
    return Treated(line.model_copy(update={"train": train, "dataset": plan}), tuple(one.name for one in applied))


def _often(remedy: Remedy, facts: Facts) -> int:
    seen = number(facts, remedy.repeat) if remedy.repeat else 1
    return min(int(seen or 0), _MOST_TIMES)
