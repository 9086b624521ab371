"""`flywheel web`: where the dashboard is, and the process that it becomes."""

import json
import os
import sys

import pytest

from flywheel.cli.webs import web


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "flywheel.toml"
    path.write_text(f'home = "{tmp_path}"\n[web]\nhost = "::1"\nport = 9\nenabled = true\n')
    return path


def test_it_says_where_it_is_and_where_its_token_lies(config, tmp_path, capsys):
    """The address can be opened as it is said, also for programs; nothing is started."""
    web(as_json=True, config=config)
    told = json.loads(capsys.readouterr().out)
    assert told["url"] == "http://[::1]:9/"
    assert told["token_file"] == str(tmp_path / "web.token")
    web(where=True, config=config)
    assert capsys.readouterr().out.splitlines()[0] == "http://[::1]:9/"


def test_the_command_becomes_the_dashboard(config, monkeypatch):
    """The process goes on as the dashboard, so that whoever supervises it keeps its hold; the settings go along."""
    became = []
    monkeypatch.setattr(os, "execv", lambda program, argv: became.append((program, argv)))
    web(config=config)
    assert became == [(sys.executable, [sys.executable, "-m", "flywheel.web", "--config", str(config)])]
