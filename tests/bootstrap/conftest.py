"""What the tests of a cold start share."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.store.stores import Store, open_store, sqlite_url


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home in memory where there is some: what is written to the disk before it is relied on waits for no disk."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the schema once; every test that wants a store gets a copy of the file."""
    path = tmp_path_factory.mktemp("store") / "flywheel.db"
    open_store(sqlite_url(path)).close()
    return path


@pytest.fixture
def store(home: Path, empty_store: Path) -> Iterator[Store]:
    """Give an empty store."""
    shutil.copyfile(empty_store, home / "flywheel.db")
    with open_store(sqlite_url(home / "flywheel.db")) as opened:
        yield opened
