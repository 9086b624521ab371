"""The fact is exactly this."""

from typing import Literal, Self

from pydantic import Field, model_validator

from flywheel.core.facts import Facts
from flywheel.policy.predicates import Predicate, Scalar, check_value, same, values_words


class Equals(Predicate):
    """Holds when the fact is the value."""

    kind: Literal["equals"] = "equals"
    value: Scalar = Field(description="what the fact must be")

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        check_value(self.fact, self.value)
        return self

    def holds(self, facts: Facts) -> bool | None:
        """Compare with the value."""
        return same(facts.get(self.fact), self.value)

    def needs(self, facts: Facts) -> str:  # noqa: ARG002 - the value stands in the file
        """Return the value."""
        return values_words((self.value,))
