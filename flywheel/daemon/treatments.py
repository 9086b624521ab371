"""The lines as their next runs have them: as declared, with the remedies that their last reports call for."""

from collections.abc import Mapping

from flywheel.core.lines import Line
from flywheel.core.weaknesses import diagnose
from flywheel.policy.remedies import Remedy, Treated, treat
from flywheel.store.reports import last_reports
from flywheel.store.rungs import on_its_rung
from flywheel.store.stores import Store

_REPORTS = 10  # more in a row change nothing any more


class Treatments:
    """Treats every line anew each time it is asked for: a report is a matter of the next cycle."""

    def __init__(self, store: Store, lines: Mapping[str, Line], remedies: Mapping[str, Remedy]) -> None:
        """Keep what was declared."""
        self._store = store
        self._lines = lines
        self._remedies = tuple(remedies.values())
        self._climbing = any(line.highest_rung > line.rung for line in lines.values())

    def lines(self) -> Mapping[str, Line]:
        """Return every line as its next run has it, on the rung where it stands."""
        if not self._remedies and not self._climbing:
            return self._lines
        return {name: self._treated(line).line for name, line in self._lines.items()}

    def applied(self, line: str) -> tuple[str, ...]:
        """Return the names of the remedies that a line's next run has."""
        return self._treated(self._lines[line]).remedies if self._remedies else ()

    def _treated(self, line: Line) -> Treated:
        with self._store.read() as session:
            found = last_reports(session, line.name, _REPORTS) if self._remedies else []
            line = on_its_rung(session, line)
        return treat(line, diagnose([stored.report for stored in found]), self._remedies)
