"""Neighbouring results of two arms, set beside each other. Pure.

A block ends as soon as it holds a result of either arm, and each result stands in one block only. Where a block ends
depends on who came, never on how it went; so what is compared within it has, under the null, a mean of at most 0
whatever came before, as the e-process asks. (Using the last control result again for a second canary result would break
that.) For the same reason the canary's share may rise between two blocks.
"""

from collections.abc import Iterable, Iterator


def blocks(values: Iterable[tuple[bool, float]]) -> Iterator[tuple[list[float], list[float]]]:
    """Yield canary's and control's values, block by block, of values that say whether they are the canary's."""
    canary: list[float] = []
    control: list[float] = []
    for is_canary, value in values:
        (canary if is_canary else control).append(value)
        if canary and control:
            yield canary, control
            canary, control = [], []


def mean(values: list[float]) -> float:
    """Return the mean of what is not empty."""
    return sum(values) / len(values)
