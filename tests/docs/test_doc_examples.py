"""The examples in the documents are true: they parse, load, and name commands and options that exist."""

import re
import shlex
import tomllib

import documents as d
import pytest
from typer.main import get_command

from flywheel.cli.main import app
from flywheel.daemon.settings import Settings, load_settings

TOML = [
    pytest.param(block, id=f"{d.name(path)}-{number}")
    for path in d.DOCUMENTS
    for number, block in enumerate(d.blocks(path.read_text(encoding="utf-8"), "toml"), 1)
]
_PROGRAM = re.compile(r"^(?:/\S*/)?flywheel [a-z-].*$")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    import os

    for variable in [name for name in os.environ if name.startswith("FLYWHEEL_")]:
        monkeypatch.delenv(variable)


def test_there_are_examples():
    """The tests below look at something."""
    assert len(TOML) > 2
    assert len(COMMANDS) > 20


@pytest.mark.parametrize("block", TOML)
def test_toml_parses_and_settings_load(block, tmp_path):
    """Every TOML block parses; one that holds settings, and nothing else, loads as the settings of a machine."""
    keys = tomllib.loads(block).keys()
    if block.startswith("# settings") or (keys and keys <= Settings.model_fields.keys()):
        path = tmp_path / "flywheel.toml"
        path.write_text(block)
        assert load_settings(path).model_fields_set


def test_the_environment_wins_as_documented(monkeypatch, tmp_path):
    """The variables shown in docs/settings.md are understood and win over the file."""
    shown = next(block for block in d.blocks(d.text("docs/settings.md"), "") if "FLYWHEEL_GATEWAY__PORT" in block)
    for assignment in shlex.split(shown):
        monkeypatch.setenv(*assignment.split("=", 1))
    path = tmp_path / "flywheel.toml"
    path.write_text("[gateway]\nport = 1\n")
    settings = load_settings(path)
    assert settings.gateway.port == 9000
    assert settings.daemon.idle_window == "22:00-06:00"
    assert settings.lines == ("tool-calling",)


def _typed(document: str):
    """Yield every command line of ours in the blocks and example cells of a document."""
    for block in d.blocks(document, ""):
        for line in block.splitlines():
            if _PROGRAM.match(line.strip()):
                yield line.strip()
    for cells in d.rows(document):
        found = re.fullmatch(r"`(flywheel .*)`", cells[-1])
        if found:
            yield found.group(1)


COMMANDS = sorted({line for path in d.DOCUMENTS for line in _typed(path.read_text(encoding="utf-8"))})


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_shown_can_be_typed(line):
    """Every command line in the documents names a command, with arguments and options it takes."""
    words = shlex.split(line, comments=True)[1:]
    command, path = get_command(app), "flywheel"
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        path = words.pop(0)
        assert path in command.commands, line
        command = command.commands[path]
    with command.make_context(path, words):
        pass
