"""The generic source: a tasks table and a calls table, whatever their columns are called."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from flywheel.core.errors import SettingsError
from flywheel.sources.backlogs import Backlog
from flywheel.sources.connections import WatchedDatabase
from flywheel.sources.looks import Look, Shape, shape_of
from flywheel.sources.problems import SourceProblemError
from flywheel.sources.readings import Batch, PendingTasks
from flywheel.sources.settings import GenericSource

_GLANCES = 20  # without a look after them: nobody goes on with the backlog, and what is ready for it costs memory


class GenericReader:
    """Reads one generic source by cursor. See `readings.Reader` for what each method promises."""

    def __init__(self, settings: GenericSource) -> None:
        """Prepare; nothing is opened yet."""
        self.settings = settings
        self.database = WatchedDatabase(settings.path)
        self._seen: tuple[int, int] | None = None
        self._misfit: tuple[tuple[int, int], SourceProblemError] | None = None
        self._shape: tuple[tuple[int, int], Shape] | None = None
        self._backlog = Backlog()
        self._glances = 0

    @property
    def name(self) -> str:
        """Return the source's name in the settings."""
        return self.settings.name

    def check(self) -> None:
        """Raise SettingsError when the columns asked for are not there; a database that is away is fine."""
        try:
            with self.database.reading() as connection:
                self._shape_of(connection)
        except SourceProblemError:
            return

    def changed(self) -> bool:
        """Tell whether the database was changed since the last complete look."""
        self._glances += 1
        if self._glances > _GLANCES:
            self._backlog.close()
        version = self.database.version()
        if self._misfit is not None and self._misfit[0] == version:
            raise self._misfit[1]  # its tables do not fit, and nothing was changed since
        return version != self._seen

    def close(self) -> None:
        """Let go of the database."""
        self._backlog.close()
        self.database.close()
        self._seen = None

    def read(self, cursor: Mapping[str, Any], pending: PendingTasks) -> Batch:
        """Return the next batch; without `more` everything that was there is in it or before it."""
        version = self.database.version()
        self._seen, self._glances = None, 0
        try:
            with ExitStack() as unless_more:
                unless_more.callback(self._backlog.close)
                batch = self._look(cursor, pending)
                if batch.more:
                    unless_more.pop_all()
        except SettingsError as error:
            problem = SourceProblemError(f"does not fit its settings: {error.message}", error.mend)
            self._misfit = (version, problem)
            raise problem from error
        if not batch.more:
            self._seen = version
        return batch

    def _look(self, cursor: Mapping[str, Any], pending: PendingTasks) -> Batch:
        with self.database.reading() as connection:
            written = int(connection.execute("PRAGMA data_version").fetchone()[0])  # as of this very transaction
            self._backlog.begin((self.database.openings, written))
            look = Look(self.settings, connection, self._shape_of(connection), pending, self._backlog)
            return look.batch(cursor, self.database.identity)

    def _shape_of(self, connection: Any) -> Shape:
        # A shape of another file must never be used on this one: SQLite reads the quoted name of a column that is not
        # there as a text, so that a missing `success` would be the word "success" in every row.
        version = (int(connection.execute("PRAGMA schema_version").fetchone()[0]), self.database.openings)
        if self._shape is None or self._shape[0] != version:
            self._shape = (version, shape_of(connection, self.settings))
        return self._shape[1]
