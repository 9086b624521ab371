"""The fixtures of training's tests: a house on a real store."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.tiny import tiny_base
from train_house import House

from flywheel.core.steps import Steps
from flywheel.store.stores import open_store, sqlite_url

__all__ = ["tiny_base"]


@pytest.fixture(scope="session")
def empty_train_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the schema once; every test gets a copy of the file."""
    path = tmp_path_factory.mktemp("train") / "flywheel.db"
    open_store(sqlite_url(path)).close()
    return path


@pytest.fixture
def house(tmp_path: Path, empty_train_store: Path) -> Iterator[House]:
    shutil.copyfile(empty_train_store, tmp_path / "flywheel.db")
    steps = Steps()
    with open_store(sqlite_url(tmp_path / "flywheel.db"), steps) as store:
        yield House(store, steps, tmp_path)
