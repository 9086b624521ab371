"""The fixtures of the dashboard's tests: a home without a store, and one with a story in it."""

import shutil
from pathlib import Path

import pytest
from web_house import make_world, settings_in

from flywheel.daemon.settings import Settings


@pytest.fixture(scope="session")
def told_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the story once; every test gets a copy of it."""
    home = tmp_path_factory.mktemp("web")
    make_world(settings_in(home))
    return home


@pytest.fixture
def world(tmp_path: Path, told_home: Path) -> Settings:
    shutil.copytree(told_home, tmp_path / "home")
    return settings_in(tmp_path / "home")


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pages wait for what is counted beside them: on a busy machine that may take a while."""
    monkeypatch.setattr("flywheel.web.counts._PATIENCE_SECONDS", 60)
