"""The number has reached the bound."""

from typing import Literal

from flywheel.core.facts import Facts
from flywheel.policy.predicates import Comparison, bound_words


class AtLeast(Comparison):
    """Holds when the fact is at least the bound."""

    kind: Literal["at_least"] = "at_least"

    def agrees(self, seen: float, limit: float) -> bool:
        """Compare."""
        return seen >= limit

    def needs(self, facts: Facts) -> str:
        """Return the bound in words."""
        return f"at least {bound_words(self.value, self.other, facts)}"
