"""The number has not passed the bound."""

from typing import Literal

from flywheel.core.facts import Facts
from flywheel.policy.predicates import Comparison, bound_words


class AtMost(Comparison):
    """Holds when the fact is at most the bound."""

    kind: Literal["at_most"] = "at_most"

    def agrees(self, seen: float, limit: float) -> bool:
        """Compare."""
        return seen <= limit

    def needs(self, facts: Facts) -> str:
        """Return the bound in words."""
        return f"at most {bound_words(self.value, self.other, facts)}"
