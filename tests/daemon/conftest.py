"""The fixtures of the daemon's tests: a real store, a house on it, and no log on the terminal."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from daemon_house import House
from daemon_yard import Yard

from flywheel.proc import children
from flywheel.store import jobs as rows
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


@pytest.fixture
def yard(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    monkeypatch.setattr("flywheel.daemon.works._LOOK_SECONDS", 0.02)
    yard = Yard(store, tmp_path)
    yield yard
    with store.read() as session:
        left = [job.process for job in rows.open_jobs(session) if job.process is not None]
    for process in left:
        children.end(process, force=True)
