"""Puts the shared fixtures within reach: settings of a home, and commands as a person types them."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_house import Said, write_settings

from flywheel.cli.consoles import Colour, paint
from flywheel.cli.main import main
from flywheel.store.stores import open_store, sqlite_url

sys.path.insert(0, str(Path(__file__).parents[1]))  # the shared fixtures lie beside the rooms of the tests

from fixtures.tiny import tiny_base

__all__ = ["tiny_base"]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run a command in this process, just as it is typed."""

    def run(*arguments: str | Path) -> Said:
        monkeypatch.setattr(sys, "argv", ["flywheel", *map(str, arguments)])
        paint(Colour.AUTO)  # whatever the command before it asked for
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return Said(int(left.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the settings of a home with an empty store."""
    config = write_settings(tmp_path)
    open_store(sqlite_url(tmp_path / "flywheel.db")).close()
    return config


@pytest.fixture
def say(home: Path, typed: Callable[..., Said]) -> Callable[..., Said]:
    """Run a command in this process with the settings of the home, or with others, or with none."""

    def run(*arguments: str | Path, config: Path | None = home) -> Said:
        return typed(*arguments, *(["--config", config] if config else []))

    return run
