"""The fact is anything but this."""

from typing import Literal, Self

from pydantic import Field, model_validator

from flywheel.core.facts import Facts
from flywheel.policy.predicates import Predicate, Scalar, check_value, same, values_words


class Differs(Predicate):
    """Holds when the fact is known and is not the value."""

    kind: Literal["differs"] = "differs"
    value: Scalar = Field(description="what the fact must not be")

    @model_validator(mode="after")
    def _can_fail(self) -> Self:
        check_value(self.fact, self.value)
        return self

    def holds(self, facts: Facts) -> bool | None:
        """Compare with the value."""
        equal = same(facts.get(self.fact), self.value)
        return None if equal is None else not equal

    def needs(self, facts: Facts) -> str:  # noqa: ARG002 - the value stands in the file
        """Return what it must not be."""
        return f"anything but {values_words((self.value,))}"
