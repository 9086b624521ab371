"""How long rows are: percentiles, a histogram with round bounds, and what goes beyond a limit. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from flywheel.core.frozen import Frozen

Unit = Literal["tokens", "characters"]
PERCENTILES = (5, 25, 50, 75, 90, 95, 99)
_BINS = 20


class Bin(Frozen):
    """Rows of at least `low` and less than `high`."""

    low: int
    high: int
    rows: int


class Lengths(Frozen):
    """How long the rows are, in a unit; `over` counts those beyond the limit, where there is one to compare with."""

    unit: Unit
    counted_by: str
    rows: int
    not_counted: int
    shortest: int
    mean: float
    longest: int
    percentiles: dict[str, int]
    parts: dict[str, dict[str, int]]
    limit: int | None
    over: int | None
    over_share: float | None
    histogram: tuple[Bin, ...]


def lengths_of(
    parts: Mapping[str, Sequence[int | None]], unit: Unit, counted_by: str, limit: int | None = None
) -> Lengths | None:
    """Return the lengths of all rows together; None stands for a row that could not be counted."""
    counted = {name: sorted(one for one in held if one is not None) for name, held in parts.items()}
    every = sorted(one for held in counted.values() for one in held)
    if not every:
        return None
    over = sum(one > limit for one in every) if limit is not None else None
    return Lengths(
        unit=unit,
        counted_by=counted_by,
        rows=len(every),
        not_counted=sum(len(held) for held in parts.values()) - len(every),
        shortest=every[0],
        mean=round(sum(every) / len(every), 1),
        longest=every[-1],
        percentiles={f"p{share}": percentile(every, share) for share in PERCENTILES},
        parts={name: {"rows": len(held), "median": percentile(held, 50), "longest": held[-1]}
               for name, held in counted.items() if held},
        limit=limit,
        over=over,
        over_share=round(over / len(every), 4) if over is not None else None,
        histogram=tuple(histogram(every)),
    )  # fmt: skip


def percentile(ordered: Sequence[int], share: float) -> int:
    """Return the smallest value that at least so many per cent of the values do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)]


def histogram(ordered: Sequence[int], bins: int = _BINS) -> list[Bin]:
    """Return bins of one round width that hold every value: so many, one more, or fewer."""
    width = _round_up((ordered[-1] - ordered[0] + 1) / bins)
    low = ordered[0] // width * width
    counts = [0] * ((ordered[-1] - low) // width + 1)
    for value in ordered:
        counts[(value - low) // width] += 1
    return [
        Bin(low=low + place * width, high=low + (place + 1) * width, rows=rows) for place, rows in enumerate(counts)
    ]


def _round_up(width: float) -> int:
    """Return the next of 1, 2, 5, 10, 20, 50 and so on."""
    power = 10 ** max(0, math.floor(math.log10(max(width, 1))))
    return int(next(step * power for step in (1, 2, 5, 10) if step * power >= width))
