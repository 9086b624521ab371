"""Drawing rows without knowing how many there are. Pure.

Each row has a lot, drawn from the seed and its content; the smallest lots are the sample. So it does not matter in
which order rows or files come, a row that comes twice counts once, and a larger sample of the same seed holds the
smaller one.
"""

import heapq

from flywheel.core.ids import texts_hash

_LOT = 16  # characters of a hash: of a billion rows hardly two have the same lot


def lot_of(row: str, seed: int) -> int:
    """Return a row's lot; `row` is the hash of what it holds."""
    return int(texts_hash([str(seed), row])[:_LOT], 16)


class Sample:
    """The rows with the smallest lots so far; memory holds their lots alone."""

    def __init__(self, count: int) -> None:
        """Draw so many."""
        self._count = count
        self._kept: list[int] = []  # a heap of the negative lots: the largest of them stands first
        self._held: set[int] = set()

    @property
    def largest(self) -> int:
        """Return the largest lot that is drawn; less than any lot where none is."""
        return -self._kept[0] if self._kept else -1

    def add(self, lot: int) -> None:
        """Take a row's lot into account; one that was seen before changes nothing."""
        if lot in self._held or (len(self._kept) == self._count and lot >= self.largest):
            return
        self._held.add(lot)
        if len(self._kept) < self._count:
            heapq.heappush(self._kept, -lot)
        else:
            self._held.discard(-heapq.heapreplace(self._kept, -lot))
