"""Right is: the same text, thoughts and white space at the ends aside."""

from collections.abc import Sequence
from typing import Any

from flywheel.core.thoughts import after_thoughts
from flywheel.gate.metrics.scores import Expectation, Score


class ExactMetric:
    """Scores 1 when the texts are equal, else 0 with the place where they part."""

    name = "exact"

    def expect(self, answer: str) -> Expectation | None:
        """Return the held-out answer; None when it is empty."""
        said = after_thoughts(answer).strip()
        return Expectation(said, format="text") if said else None

    def score(self, expected: Any, text: str, native: Sequence[Any] = ()) -> Score:  # noqa: ARG002 - text decides
        """Compare two texts."""
        seen, wanted = after_thoughts(text).strip(), after_thoughts(str(expected)).strip()
        if not seen:
            return Score(0.0, "the answer is empty", unusable=True)
        if seen == wanted:
            return Score(1.0, format="text")
        return Score(0.0, f"differs from character {_parting(wanted, seen) + 1}", "text")


def _parting(left: str, right: str) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(left), len(right)))
