"""Keeps what was compared of the adapters that listen, so that each pair of answers is read and compared once."""

from collections.abc import Callable, Collection
from datetime import datetime

from flywheel.core.releases import Release
from flywheel.core.shadows import Pair
from flywheel.rollout.shadows import Likeness, liken

#: Of the first so many copies that a model answered since a time, those that are not known yet.
Pairs = Callable[[str, datetime, int, Collection[str]], list[Pair]]


def no_pairs(_model: str, _since: datetime, _limit: int, _known: Collection[str]) -> list[Pair]:
    """Return nothing: where nobody keeps copies."""
    return []


class Listener:
    """Hears what shadows say."""

    def __init__(self, pairs: Pairs) -> None:
        """Read pairs from there."""
        self._pairs = pairs
        self._heard: dict[str, tuple[int | None, dict[str, Likeness]]] = {}

    def hear(self, shadow: Release | None, line: str, calls: int) -> tuple[Likeness, ...]:
        """Return what was compared of a line's shadow so far; of one that is gone nothing is kept."""
        if shadow is None or shadow.changed_at is None:
            self._heard.pop(line, None)
            return ()
        seq, known = self._heard.get(line, (None, {}))
        if seq != shadow.seq:
            known = {}
        for pair in self._pairs(shadow.name, shadow.changed_at, calls, known.keys()):
            known[pair.call] = liken(pair)
        self._heard[line] = (shadow.seq, known)
        return tuple(known.values())
