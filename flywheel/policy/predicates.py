"""What every condition kind stands on: facts by their right names, bounds, and the words for what was seen. Pure."""

import math
from abc import abstractmethod
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, model_validator

from flywheel.core.facts import FACTS, Facts, FactSpec, Value
from flywheel.core.frozen import Frozen
from flywheel.policy.words import hint, listed, quoted, show

TYPE_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _known(name: str) -> str:
    if name not in FACTS:
        raise ValueError(f"no fact is called '{name}'{hint(name, FACTS)}")
    return name


def _countable(name: str) -> str:
    kind = FACTS[name].type
    if kind in {bool, str}:
        raise ValueError(f"fact '{name}' is {TYPE_WORDS[kind]} and has no more or less: use kind 'equals'")
    return name


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"must be a number, is {quoted(value)}")
    return value


def _scalar(value: Any) -> Value:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float) and math.isfinite(value):
        return value
    raise ValueError(f"must be true or false, a number or a text, is {quoted(value)}")


FactName = Annotated[str, AfterValidator(_known)]
NumberFact = Annotated[FactName, AfterValidator(_countable)]
Number = Annotated[int | float | None, PlainValidator(_number)]
Scalar = Annotated[bool | int | float | str, PlainValidator(_scalar)]


class Predicate(Frozen):
    """A condition: looks at one fact and says whether it holds, or that it cannot know."""

    fact: FactName = Field(description="the fact that is looked at")

    @property
    def reads(self) -> tuple[str, ...]:
        """Return every fact the condition looks at."""
        return (self.fact,)

    @abstractmethod
    def holds(self, facts: Facts) -> bool | None:
        """Tell whether the condition holds; None when a fact it needs is unknown."""

    @abstractmethod
    def needs(self, facts: Facts) -> str:
        """Return what the fact has to be, in words that follow `is` or `must be`."""

    def bounds(self, facts: Facts) -> tuple[float, ...]:  # noqa: ARG002 - most kinds have none
        """Return the numbers the reading is compared with."""
        return ()

    def sentence(self, facts: Facts) -> str:
        """Return what was seen and what is needed: `dataset.replay_share is 0.04, needs 0.10 to 0.20`."""
        return f"{self.fact} is {show(facts.get(self.fact), *self.bounds(facts))}, needs {self.needs(facts)}"


class Comparison(Predicate):
    """A number against a number: one written in the file (`value`) or another fact (`other`)."""

    fact: NumberFact = Field(description="the number that is looked at")
    value: Number = Field(default=None, description="the number it is compared with")
    other: NumberFact | None = Field(default=None, description="the fact it is compared with, instead of `value`")

    @model_validator(mode="after")
    def _has_one_bound(self) -> "Comparison":
        check_bound(self.value, self.other, "value", "other")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the fact and, where it is compared with one, the other fact."""
        return (self.fact, self.other) if self.other else (self.fact,)

    def bounds(self, facts: Facts) -> tuple[float, ...]:
        """Return the number the reading is compared with, when it is known."""
        limit = bound(self.value, self.other, facts)
        return () if limit is None else (limit,)

    def holds(self, facts: Facts) -> bool | None:
        """Compare, when both numbers are known."""
        seen, limit = number(facts, self.fact), bound(self.value, self.other, facts)
        return None if seen is None or limit is None else self.agrees(seen, limit)

    @abstractmethod
    def agrees(self, seen: float, limit: float) -> bool:
        """Compare two known numbers."""


def check_bound(value: float | None, other: str | None, value_key: str, other_key: str) -> None:
    """Refuse a bound that is given twice or not at all."""
    if (value is None) == (other is None):
        raise ValueError(f"needs either '{value_key}' (a number) or '{other_key}' (a fact), and not both")


def number(facts: Facts, name: str) -> float | None:
    """Return a fact that is a number; None when it is unknown or is none."""
    value = facts.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def bound(value: float | None, other: str | None, facts: Facts) -> float | None:
    """Return the number to compare with: the one written down, or the reading of the other fact."""
    return number(facts, other) if other else value


def bound_words(value: float | None, other: str | None, facts: Facts) -> str:
    """Return the bound in words; another fact by its name, with its reading where one was taken."""
    if other is None:
        return quoted(value)
    return f"{other} ({quoted(facts[other])})" if other in facts else other


def same(seen: Value, value: Value) -> bool | None:
    """Compare two values of one type; None when the reading is unknown."""
    return None if seen is None else isinstance(seen, bool) == isinstance(value, bool) and seen == value


def check_value(name: str, value: Value) -> None:
    """Refuse a value that the fact can never have."""
    spec = FACTS[name]
    if not _can_be(spec, value):
        raise ValueError(f"fact '{name}' is {TYPE_WORDS[spec.type]} and never {quoted(value)}")
    if spec.choices and value not in spec.choices:
        raise ValueError(f"fact '{name}' is never {quoted(value)}{hint(str(value), spec.choices)}")


def _can_be(spec: FactSpec, value: Value) -> bool:
    if spec.type in {bool, str}:
        return isinstance(value, spec.type)
    return isinstance(value, int if spec.type is int else int | float) and not isinstance(value, bool)


def values_words(values: tuple[Value, ...]) -> str:
    """Return values as a list in words."""
    return listed(quoted(v) if isinstance(v, float) else show(v) for v in values)
