"""Right is: the same text, white space at the ends aside."""

from collections.abc import Sequence
from typing import Any

from flywheel.gate.metrics.scores import Expectation, Score


class ExactMetric:
    """Scores 1 when the texts are equal, else 0 with the place where they part."""

    name = "exact"

    def expect(self, answer: str) -> Expectation | None:
        """Return the held-out answer; None when it is empty."""
        return Expectation(answer.strip(), format="text") if answer.strip() else None

    def score(self, expected: Any, text: str, native: Sequence[Any] = ()) -> Score:  # noqa: ARG002 - text decides
        """Compare two texts."""
        seen = text.strip()
        if not seen:
            return Score(0.0, "the answer is empty", unusable=True)
        if seen == expected:
            return Score(1.0, format="text")
        return Score(0.0, f"differs from character {_parting(expected, seen) + 1}", "text")


def _parting(left: str, right: str) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(left), len(right)))
