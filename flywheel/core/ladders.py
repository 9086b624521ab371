"""The ladder: by whose answers a line may learn, rung by rung. Pure.

Others come first: teachers, histories, datasets. A line's own answers follow, mixed with those, then alone; at last the
line's adapters answer the agent, and what becomes of their answers is what it learns from.
"""

from collections.abc import Mapping
from types import MappingProxyType

from flywheel.core.outcomes import Origin

RUNGS: Mapping[int, str] = MappingProxyType(
    {1: "teacher", 2: "mixed", 3: "execution feedback", 4: "production feedback"}
)
FIRST, MIXED, EXECUTION = 1, 2, 3
#: What a line's own agent said, in daily work or in a harness; whatever else there is, others said.
OWN: frozenset[Origin] = frozenset({"logged", "harness"})


def rung_asked(origin: Origin) -> int:
    """Return the lowest rung on which an answer of that origin may teach."""
    return MIXED if origin in OWN else FIRST
