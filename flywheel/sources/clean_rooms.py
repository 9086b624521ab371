"""The clean-room source: an agent's `raw.sqlite`, whatever columns it has, with `curated.sqlite` beside it."""

from collections.abc import Mapping
from typing import Any

from flywheel.core.clocks import Clock, SystemClock
from flywheel.core.errors import SettingsError
from flywheel.sources.clean_room_curated import Curated
from flywheel.sources.clean_room_indexes import CALLS, RowIndex
from flywheel.sources.clean_room_looks import Kept, Look
from flywheel.sources.clean_room_runs import RunLoader
from flywheel.sources.connections import WatchedDatabase, columns_of
from flywheel.sources.problems import SourceProblemError
from flywheel.sources.readings import Batch, PendingTasks
from flywheel.sources.settings import CleanRoomSource

NEEDED = ("task_id", "call_type", "model", "prompt", "response", "timestamp")


class CleanRoomReader:
    """Reads one clean-room source by cursor. See `readings.Reader` for what each method promises."""

    def __init__(self, settings: CleanRoomSource, clock: Clock | None = None) -> None:
        """Prepare; nothing is opened yet."""
        self.settings = settings
        self.database = WatchedDatabase(settings.path)
        self._curated = Curated(settings.curated or settings.path.with_name("curated.sqlite"))
        self._clock = clock or SystemClock()
        self._seen: object = None
        self._misfit: tuple[object, SourceProblemError] | None = None
        self._kept: tuple[int, Kept] | None = None

    @property
    def name(self) -> str:
        """Return the source's name in the settings."""
        return self.settings.name

    def check(self) -> None:
        """Raise SettingsError when this is another kind of database; one that is away is fine."""
        try:
            with self.database.reading() as connection:
                problem = _misfit(connection)
        except SourceProblemError:
            return
        if problem is not None:
            raise SettingsError(problem.message, problem.mend)

    def changed(self) -> bool:
        """Tell whether either database was changed since the last complete look."""
        version = self._version()
        if self._misfit is not None and self._misfit[0] == version:
            raise self._misfit[1]  # it is another kind of database, and nothing was changed since
        return version != self._seen

    def close(self) -> None:
        """Let go of both databases."""
        self.database.close()
        self._curated.close()
        self._seen = None
        self._kept = None

    def read(self, cursor: Mapping[str, Any], pending: PendingTasks) -> Batch:
        """Return the next batch; without `more` everything that was there is in it or before it."""
        version = self._version()
        self._seen = None
        with self.database.reading() as connection:
            if (problem := _misfit(connection)) is not None:
                self._misfit = (version, problem)
                raise problem
            kept = self._index(connection)
            look = Look(self.settings, connection, kept, self._curated, self._clock.now())
            batch = look.batch(cursor, self.database.identity, pending)
        if not batch.more:
            self._seen = version
        return batch

    def _version(self) -> object:
        return self.database.version(), self._curated.version()

    def _index(self, connection: Any) -> Kept:
        """Return the index, read on to the end; anew for another file, and when rows vanished."""
        openings = self.database.openings
        if self._kept is None or self._kept[0] != openings or not self._kept[1].rows.extend(connection):
            index = RowIndex()
            index.extend(connection)
            self._kept = (openings, Kept(index, RunLoader(index)))
        return self._kept[1]


def _misfit(connection: Any) -> SourceProblemError | None:
    """Return what is missing for this to be a clean-room database."""
    present = columns_of(connection, CALLS)
    if not present:
        return SourceProblemError(f"has no table {CALLS}", "point the source at the agent's raw.sqlite")
    missing = [name for name in NEEDED if name not in present]
    if missing:
        return SourceProblemError(f"has no column {', '.join(missing)} in {CALLS}", "this agent's version is not known")
    return None
