"""The opencode source: the database of 1.2 and later, or the folder of JSON files before it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flywheel.core.clocks import Clock
from flywheel.sources.connections import WatchedDatabase
from flywheel.sources.opencode_databases import DatabaseArchive
from flywheel.sources.opencode_folders import FolderArchive, glance, storage_in
from flywheel.sources.opencode_looks import Look, Looker
from flywheel.sources.opencode_memory import Memory
from flywheel.sources.opencode_schemas import Layout, deny_secrets, layout_of
from flywheel.sources.opencode_trees import TreeReader
from flywheel.sources.problems import SourceProblemError
from flywheel.sources.readings import Batch, PendingTasks
from flywheel.sources.secret_memory import SecretMemory
from flywheel.sources.settings import OpencodeSource

SWEEP_SECONDS = 60.0  # between two counts of the rows of all sessions that have no event sequence

GLANCE_SECONDS = 1.0  # between two looks at the times of a folder's folders


class OpencodeReader:
    """Reads one opencode source by cursor. See `readings.Reader` for what each method promises."""

    def __init__(self, settings: OpencodeSource, clock: Clock) -> None:
        """Prepare; nothing is opened yet."""
        self.settings = settings
        self.database = WatchedDatabase(settings.path)
        self._clock = clock
        self._trees = TreeReader(settings, SecretMemory())
        self._memory = Memory()
        self._layout: tuple[tuple[int, int], Layout] | None = None
        self._misfit: tuple[tuple[Any, ...], SourceProblemError] | None = None
        self._seen: tuple[Any, ...] | None = None
        self._due: int | None = None
        self._swept: float | None = None
        self._glanced = 0.0
        self._identity: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """Return the source's name in the settings."""
        return self.settings.name

    def check(self) -> None:
        """Nothing can be set that might not fit: what a file holds is told by the file itself."""

    def changed(self) -> bool:
        """Tell whether the database was changed since the last complete look, or a session has become quiet."""
        if self._due is not None and self._now() >= self._due:
            return True
        if self._seen is not None and self._is_folder() and self._clock.monotonic() - self._glanced < GLANCE_SECONDS:
            return False
        version = self._version()
        if self._misfit is not None and self._misfit[0] == version:
            raise self._misfit[1]  # it is none that is known, and nothing was changed since
        if version != self._seen:
            self._seen = None  # the next glance, however soon, says the same until it was read
        return self._seen is None

    def close(self) -> None:
        """Let go of the database and of everything remembered."""
        self.database.close()
        self._memory = Memory()
        self._seen = self._due = self._swept = None

    def read(self, cursor: Mapping[str, Any], pending: PendingTasks) -> Batch:
        """Return the next batch; without `more` everything that was there is in it or before it."""
        version = self._version()
        self._seen = None
        anew = self._memory.recall(cursor, pending)
        look = self._folder_look(anew=anew) if self._is_folder() else self._database_look(version, anew=anew)
        batch = look.batch
        if not batch.more:
            self._seen, self._due = version, self._next_due(look)
        return batch if batch.cursor else batch.model_copy(update={"cursor": dict(cursor)})

    def _database_look(self, version: tuple[Any, ...], *, anew: bool) -> Look:
        with self.database.reading() as connection:
            layout = self._fitting(connection, version)
            same = self._identity == self.database.identity
            sweeping = self._is_sweeping()
            looker = Looker(DatabaseArchive(connection, layout), self._memory, self._trees, self._now())
            look = looker.look(anew=anew, same=same, refusals=layout.refusals, sweeping=sweeping)
        self._identity = self.database.identity
        return self._swept_on(look, sweeping=sweeping)

    def _fitting(self, connection: Any, version: tuple[Any, ...]) -> Layout:
        """Return the file's layout; remembers that it has none that is known, until it is changed."""
        try:
            layout = self._layout_of(connection)
        except SourceProblemError as problem:
            self._misfit = (version, problem)
            raise
        self._misfit = None
        return layout

    def _folder_look(self, *, anew: bool) -> Look:
        looker = Looker(FolderArchive(self._storage()), self._memory, self._trees, self._now())
        return looker.look(anew=anew, same=True)

    def _storage(self) -> Path:
        root = storage_in(self.settings.path)
        if root is None:
            raise SourceProblemError("is no folder in which opencode kept sessions", "name its `storage` folder")
        return root

    def _layout_of(self, connection: Any) -> Layout:
        version = (int(connection.execute("PRAGMA schema_version").fetchone()[0]), self.database.openings)
        if self._layout is None or self._layout[0] != version:
            deny_secrets(connection)
            self._layout = (version, layout_of(connection))
        return self._layout[1]

    def _is_sweeping(self) -> bool:
        """Tell whether it is time to count the rows of the older sessions, or that has begun and is not done."""
        return bool(self._memory.sweep) or self._swept is None or self._since_sweep() >= SWEEP_SECONDS

    def _swept_on(self, look: Look, *, sweeping: bool) -> Look:
        """Go on with a sweep that is not done; remember when one ended."""
        if not sweeping:
            return look
        if look.swept:
            self._swept = self._clock.monotonic()
            return look
        return look._replace(batch=look.batch.model_copy(update={"more": True}))

    def _since_sweep(self) -> float:
        return self._clock.monotonic() - (self._swept or 0.0)

    def _next_due(self, look: Look) -> int | None:
        """Return when to look again though nothing is written: a folder's old files may be written over unseen."""
        if not self._is_folder():
            return look.due
        later = self._now() + int(SWEEP_SECONDS * 1000)
        return later if look.due is None else min(later, look.due)

    def _version(self) -> tuple[Any, ...]:
        if self._is_folder():
            self._glanced = self._clock.monotonic()
            return glance(self._storage())
        return self.database.version()

    def _is_folder(self) -> bool:
        return self.settings.path.is_dir()

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)
