"""A furnished home and a place for its backups."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # the shared fixtures lie beside the rooms of the tests

from fixtures.homes import Home

from flywheel.store.copies import settle
from flywheel.store.stores import open_store, sqlite_url


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """Make the schema once; every home gets a copy of the file."""
    path = tmp_path_factory.mktemp("store") / "flywheel.db"
    open_store(sqlite_url(path)).close()
    settle(path)
    return path


@pytest.fixture
def home(tmp_path, empty_store, monkeypatch):
    monkeypatch.setattr(Home, "template", empty_store)
    made = Home(tmp_path / "home")
    made.furnish(1)
    made.extras()
    (made.path / "capture.db").unlink()
    yield made
    made.close()


@pytest.fixture
def place(tmp_path):
    return tmp_path / "backups"
