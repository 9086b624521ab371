"""Whom the doctor looks at: settings, policies and store, each as far as it can be had. Nothing is made or migrated."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from sqlmodel import Session

from flywheel.cli.surroundings import Surroundings
from flywheel.core.errors import FlywheelError
from flywheel.core.lines import Line
from flywheel.core.releases import Release, ReleaseState
from flywheel.daemon.bases import known_bases
from flywheel.daemon.lines import chosen_lines
from flywheel.daemon.places import policies_folder
from flywheel.daemon.settings import Settings
from flywheel.policy.loading import load_policies
from flywheel.store.datasets import last_dataset
from flywheel.store.migrating import is_current
from flywheel.store.releases import releases
from flywheel.store.stores import Store, make_engine

_SQLITE = "sqlite:///"
_OVER = frozenset({ReleaseState.ROLLED_BACK, ReleaseState.REJECTED, ReleaseState.RETIRED, ReleaseState.SUPERSEDED})


class Patient:
    """One home with its settings."""

    def __init__(self, settings: Settings, config: Path | None) -> None:
        """Look at these settings, which were read from that file."""
        self.settings = settings
        self.config = config
        self.home = settings.home

    @property
    def database(self) -> Path | None:
        """Return the store's file, None for a store that is none."""
        url = self.settings.store_url
        return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None

    @cached_property
    def lines(self) -> Mapping[str, Line]:
        """Return the lines that are switched on; none where settings or policies are wrong, which is told elsewhere."""
        try:
            return chosen_lines(self.settings, load_policies(policies_folder(self.settings)))
        except FlywheelError:
            return {}

    @cached_property
    def around(self) -> Surroundings:
        """Return what the settings name."""
        return Surroundings(self.settings, self.lines, known_bases(self.settings))

    @cached_property
    def store(self) -> Store | None:
        """Return the store, None where there is none that this version can read as it is."""
        if self.database is not None and not self.database.exists():
            return None
        try:
            engine = make_engine(self.settings.store_url)
            return Store(engine) if is_current(engine) else None
        except Exception:  # noqa: BLE001 - whatever is wrong with it, the look at the store says it
            return None

    @contextmanager
    def reading(self) -> Iterator[Session | None]:
        """Give a session on the store, None where there is none."""
        if self.store is None:
            yield None
            return
        with self.store.read() as session:
            yield session

    @cached_property
    def releases(self) -> tuple[Release, ...]:
        """Return the adapters that a server should hold."""
        with self.reading() as session:
            found = releases(session) if session is not None else []
        return tuple(one for one in found if one.state not in _OVER)

    def has_dataset(self, line: str) -> bool:
        """Tell whether a line could train: then what training needs is needed now."""
        with self.reading() as session:
            return session is not None and last_dataset(session, line) is not None

    def close(self) -> None:
        """Let go of the store."""
        if "store" in self.__dict__ and self.store is not None:
            self.store.close()
