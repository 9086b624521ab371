"""The ledger, counted: everything once, then only what is new."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime

from sqlmodel import Session

from flywheel.core.events import EVENTS
from flywheel.store.ledger import last_event
from flywheel.store.tallies import event_tallies, new_events

#: What stands for lines that the settings do not name: yesterday's lines must not add labels for ever.
OTHER = "other"


class EventCounts:
    """Counts of events by line and kind, and when each kind last happened; kept between two readings."""

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self._begin()

    def _begin(self) -> None:
        self._seq = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self.last: dict[str, datetime] = {}

    def read(self, session: Session) -> None:
        """Count what is new; all over again where the ledger is another one than it was."""
        newest = last_event(session)
        if newest is None or (newest.seq or 0) < self._seq:
            self._begin()
        for found in new_events(session, self._seq) if self._seq else event_tallies(session):
            self._counts[found.line, found.kind] += found.many
            self._seq = max(self._seq, found.seq)
            self.last[found.kind] = max(found.last, self.last.get(found.kind, found.last))

    def by_line(self, lines: Collection[str]) -> dict[tuple[str, str], int]:
        """Return the counts by line and kind.

        Every kind stands there for every line: a count that first appears as one would be no increase to Prometheus.
        """
        found = {(line, kind): 0 for line in ("", *lines) for kind in EVENTS}
        for (line, kind), count in self._counts.items():
            key = (line if not line or line in lines else OTHER, kind)
            found[key] = found.get(key, 0) + count
        return found
