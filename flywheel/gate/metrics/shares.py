"""What part of the answers keeps to a format, applies, passes its tests, cannot be used. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from flywheel.gate.metrics.scores import Score

#: How servers and trainers call the formats in which tool calls are written.
TOOL_PARSERS: Mapping[str, str] = MappingProxyType({
    "json": "hermes", "function": "qwen3_coder", "bare function": "qwen3_coder without its opening tag",
    "fenced json": "json in a fence", "bare json": "llama3_json", "native": "the server's own",
    "mixed": "several at once", "malformed": "cannot be read", "none": "no call",
})  # fmt: skip


class FormatShare(NamedTuple):
    """How many answers came in a format, which part of all that is, and which part of them was right."""

    answers: int
    share: float
    correct: float


def by_format(scores: Iterable[Score]) -> dict[str, FormatShare]:
    """Return, for each format that was seen, how often it came and how often it was right; most frequent first."""
    held: dict[str, list[float]] = {}
    for score in scores:
        held.setdefault(score.format or "none", []).append(score.value)
    total = sum(map(len, held.values()))
    shares = {name: FormatShare(len(vs), len(vs) / total, math.fsum(vs) / len(vs)) for name, vs in held.items()}
    return dict(sorted(shares.items(), key=lambda item: (-item[1].answers, item[0])))


def format_share(scores: Sequence[Score], usual: str) -> float | None:
    """Return which part of the answers keeps to a format; None without answers."""
    return sum(score.format == usual for score in scores) / len(scores) if scores else None


def part_share(scores: Iterable[Score], part: str) -> float | None:
    """Return the mean of a part over all answers, 0 where one does not have it; None when none has.

    `applies` gives the share of edits that apply, `tests` that of tests passed, `precision` and `recall` theirs.
    """
    parts = [score.parts.get(part) for score in scores]
    known = [value for value in parts if value is not None]
    return math.fsum(known) / len(parts) if known else None


def passing_share(scores: Sequence[Score]) -> float | None:
    """Return which part of the answers passed all their tests; None where nothing was tested."""
    tested = [score.parts["tests"] for score in scores if "tests" in score.parts]
    return sum(value == 1 for value in tested) / len(scores) if tested else None


def error_rate(scores: Sequence[Score]) -> float | None:
    """Return which part of the answers nobody can use; None without answers."""
    return sum(score.unusable for score in scores) / len(scores) if scores else None
