"""The number lies in a range, both ends included."""

from typing import Literal, Self

from pydantic import Field, model_validator

from flywheel.core.facts import Facts
from flywheel.policy.predicates import Number, NumberFact, Predicate, bound, bound_words, check_bound, number


class Between(Predicate):
    """Holds when low <= fact <= high; each end is a number or another fact."""

    kind: Literal["between"] = "between"
    fact: NumberFact = Field(description="the number that is looked at")
    low: Number = Field(default=None, description="the least it may be")
    high: Number = Field(default=None, description="the most it may be")
    low_other: NumberFact | None = Field(default=None, description="the fact it may not be below, instead of `low`")
    high_other: NumberFact | None = Field(default=None, description="the fact it may not be above, instead of `high`")

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        check_bound(self.low, self.low_other, "low", "low_other")
        check_bound(self.high, self.high_other, "high", "high_other")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("low is above high, so that nothing lies between")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the fact and the facts that bound it."""
        return (self.fact, *(name for name in (self.low_other, self.high_other) if name))

    def bounds(self, facts: Facts) -> tuple[float, ...]:
        """Return the ends that are known."""
        return tuple(end for end in self._ends(facts) if end is not None)

    def holds(self, facts: Facts) -> bool | None:
        """Compare with both ends; one end that is passed decides, even when the other is unknown."""
        seen, (low, high) = number(facts, self.fact), self._ends(facts)
        if seen is None:
            return None
        if (low is not None and seen < low) or (high is not None and seen > high):
            return False
        return None if low is None or high is None else True

    def needs(self, facts: Facts) -> str:
        """Return both ends in words."""
        return f"{bound_words(self.low, self.low_other, facts)} to {bound_words(self.high, self.high_other, facts)}"

    def _ends(self, facts: Facts) -> tuple[float | None, float | None]:
        return bound(self.low, self.low_other, facts), bound(self.high, self.high_other, facts)
