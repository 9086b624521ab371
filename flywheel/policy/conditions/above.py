"""The number has passed the bound."""

from typing import Literal

from flywheel.core.facts import Facts
from flywheel.policy.predicates import Comparison, bound_words


class Above(Comparison):
    """Holds when the fact is above the bound."""

    kind: Literal["above"] = "above"

    def agrees(self, seen: float, limit: float) -> bool:
        """Compare."""
        return seen > limit

    def needs(self, facts: Facts) -> str:
        """Return the bound in words."""
        return f"above {bound_words(self.value, self.other, facts)}"
