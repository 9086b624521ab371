"""`flywheel gateway key`: a key is told once on standard output, and nothing else is."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flywheel.cli.main import app
from flywheel.cli.services import gateway_settings
from flywheel.core.clocks import SystemClock
from flywheel.core.errors import MisuseError, SettingsError
from flywheel.daemon.houses import _gateway
from flywheel.daemon.settings import load_settings
from flywheel.gateway.keyrings import Keyring
from flywheel.gateway.keys import KeyFile, gateway_key_file


@pytest.fixture
def key(tmp_path: Path) -> Any:
    """Run `flywheel gateway key …` on a home of its own."""
    config = tmp_path / "flywheel.toml"
    config.write_text(f'home = "{tmp_path / "home"}"\n')

    def run(*words: str) -> Any:
        result = CliRunner().invoke(app, ["gateway", "key", *words, "--config", str(config)])
        if result.exception:
            raise result.exception
        return result

    return run


def test_a_key_is_the_only_word_on_standard_output(key: Any, tmp_path: Path) -> None:
    """So that a script can take it; it opens the gateway of that home, and `list` never shows it."""
    said = key("add", "laptop")
    secret = said.stdout.strip()
    assert "Bearer" in said.stderr
    file = KeyFile(gateway_key_file(tmp_path / "home"))
    assert Keyring(file, SystemClock()).holder({"x-api-key": secret}) == "laptop"
    told = json.loads(key("add", "other", "--json").stdout)
    assert (told["name"], told["key"].startswith("flywheel-")) == ("other", True)
    rows = json.loads(key("list", "--json").stdout)
    assert [row["name"] for row in rows] == ["laptop", "other"]
    assert secret not in key("list").stdout


def test_a_key_is_removed_and_what_is_left_is_told(key: Any) -> None:
    """The daemon's own is never shown; an unknown name is misuse."""
    assert "no keys" in key("list").stdout
    for name in ("a", "b"):
        key("add", name)
    assert json.loads(key("remove", "a", "--json").stdout) == {"removed": "a", "left": ["b"]}
    with pytest.raises(MisuseError, match="there are: b"):
        key("remove", "a")
    assert "none left" in key("remove", "b").stdout
    assert json.loads(key("list", "--json").stdout) == []


def test_the_settings_may_be_named_before_the_noun(tmp_path: Path) -> None:
    """`flywheel gateway --config FILE key list` is the same as with the option at the end."""
    config = tmp_path / "flywheel.toml"
    config.write_text(f'home = "{tmp_path / "home"}"\n')
    KeyFile(gateway_key_file(tmp_path / "home")).add("laptop", SystemClock().now())
    result = CliRunner().invoke(app, ["gateway", "--config", str(config), "key", "list", "--json"])
    assert [row["name"] for row in json.loads(result.stdout)] == ["laptop"]


def test_every_setting_reaches_the_gateway(tmp_path: Path) -> None:
    """What `[gateway]` says in its units is what the gateway is told in its own; the daemon finds it there."""
    config = tmp_path / "flywheel.toml"
    config.write_text(
        f'home = "{tmp_path}"\n[gateway]\nhost = ""\nsocket = "{tmp_path}/s"\nsocket_group = "agents"\n'
        "header_limit_kib = 8\nrequests_at_once = 9\nrequests_at_once_per_key = 3\nmirrors_at_once = 1\n"
        "mirrors_below = 2\ncheck_seconds = 7\n"
    )
    settings = load_settings(config)
    told = gateway_settings(settings)
    assert (told.host, told.socket, told.socket_group, told.header_limit) == ("", tmp_path / "s", "agents", 8192)
    assert (told.requests_at_once, told.requests_at_once_per_key) == (9, 3)
    assert (told.mirrors_at_once, told.mirrors_below, told.check_seconds) == (1, 2, 7)
    assert _gateway(settings) == f"unix:{tmp_path}/s"
    at_a_port = settings.gateway.model_copy(update={"host": "::1", "port": 9})
    assert _gateway(settings.model_copy(update={"gateway": at_a_port})) == "http://[::1]:9"
    nowhere = settings.gateway.model_copy(update={"socket": None})
    with pytest.raises(SettingsError, match="listens nowhere"):
        gateway_settings(settings.model_copy(update={"gateway": nowhere}))
