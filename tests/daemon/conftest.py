"""The fixtures of the daemon's tests: a real store, a house on it, and no log on the terminal."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from daemon_house import House

from flywheel.store.stores import Store, open_store, sqlite_url


@pytest.fixture(scope="session")
def empty_daemon_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the schema once; every test gets a copy of the file."""
    path = tmp_path_factory.mktemp("daemon") / "flywheel.db"
    open_store(sqlite_url(path)).close()
    return path


@pytest.fixture
def store(tmp_path: Path, empty_daemon_store: Path) -> Iterator[Store]:
    shutil.copyfile(empty_daemon_store, tmp_path / "flywheel.db")
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store:
        yield store


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield
