"""The number has not reached the bound."""

from typing import Literal

from flywheel.core.facts import Facts
from flywheel.policy.predicates import Comparison, bound_words


class Below(Comparison):
    """Holds when the fact is below the bound."""

    kind: Literal["below"] = "below"

    def agrees(self, seen: float, limit: float) -> bool:
        """Compare."""
        return seen < limit

    def needs(self, facts: Facts) -> str:
        """Return the bound in words."""
        return f"below {bound_words(self.value, self.other, facts)}"
