"""A real store in a folder of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.store.stores import Store, open_store, sqlite_url


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the schema once; every test gets a copy of the file."""
    path = tmp_path_factory.mktemp("store") / "flywheel.db"
    open_store(sqlite_url(path)).close()
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flywheel.db"


@pytest.fixture
def store(path: Path, empty_store: Path) -> Iterator[Store]:
    shutil.copyfile(empty_store, path)
    with open_store(sqlite_url(path)) as store:
        yield store
