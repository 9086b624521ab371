"""The fact is one of a few values."""

from typing import Literal, Self

from pydantic import Field, model_validator

from flywheel.core.facts import Facts
from flywheel.policy.predicates import Predicate, Scalar, check_value, same, values_words


class OneOf(Predicate):
    """Holds when the fact is one of the values."""

    kind: Literal["one_of"] = "one_of"
    values: tuple[Scalar, ...] = Field(min_length=1, description="what the fact may be")

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        for value in self.values:
            check_value(self.fact, value)
        return self

    def holds(self, facts: Facts) -> bool | None:
        """Look the fact up among the values."""
        seen = facts.get(self.fact)
        return None if seen is None else any(same(seen, value) for value in self.values)

    def needs(self, facts: Facts) -> str:  # noqa: ARG002 - the values stand in the file
        """Return the values."""
        return values_words(self.values)
