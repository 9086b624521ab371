"""The fact was read at all, whatever it is."""

from typing import Literal

from flywheel.core.facts import Facts
from flywheel.policy.predicates import Predicate


class Known(Predicate):
    """Holds when the fact is known. The only kind that is never in doubt."""

    kind: Literal["known"] = "known"

    def holds(self, facts: Facts) -> bool | None:
        """Tell whether there is a reading."""
        return facts.get(self.fact) is not None

    def needs(self, facts: Facts) -> str:  # noqa: ARG002 - there is nothing to compare with
        """Return the word."""
        return "known"
