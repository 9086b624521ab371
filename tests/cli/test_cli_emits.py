"""`flywheel emit`: what other programs are told, shown or written, and never over what a person has."""

import json
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flywheel.cli.json_edits import read
from flywheel.cli.main import app
from flywheel.core.clocks import ManualClock
from flywheel.core.errors import FlywheelError, MisuseError, SettingsError
from flywheel.daemon.places import shipped
from flywheel.gateway.keys import KeyFile, gateway_key_file
from flywheel.proc.tokens import read_token, token_hash

LINES = ("tool-calling", "build-rust", "scope", "plan")
MINE = """\
{
  // my own
  "theme": "dark",
  "provider": {"flywheel": {"options": {"baseURL": "http://old", "timeout": 1}}, "other": {"npm": "x"}},
  "agent": {"build-rust": {"model": "other/mine", "prompt": "be brief"}},
}
"""


class House:
    """A home with settings and a base, and what commands say there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.config = folder, folder / "home", folder / "flywheel.toml"
        self.home.mkdir()
        self.base = folder / "base"
        self.base.mkdir()
        (self.base / "config.json").write_text('{"max_position_embeddings": 40960}')
        (self.base / "chat_template.jinja").write_text("<tool_call>")
        self.write()

    def write(self, more: str = "", lines: tuple[str, ...] = LINES) -> None:
        """Write the settings: one base on the first server, the clean-room agent's on a second one."""
        self.config.write_text(
            f'home = "{self.home}"\nlines = {json.dumps(lines)}\npolicies = "{shipped("policies")}"\n'
            f'[bases.main]\npath = "{self.base}"\nserved_as = "main"\n'
            f'[bases.qwen3-4b]\npath = "{self.folder}/away"\nserved_as = "qwen"\nserver = "http://127.0.0.1:8001"\n'
            '[[servers]]\n[[servers]]\nurl = "http://127.0.0.1:8001"\nmax_lora_rank = 32\n'
            f"{more}\n"
        )

    def said(self, *words: str | Path) -> Result:
        """What `flywheel emit` answers."""
        return CliRunner().invoke(app, ["emit", *map(str, words), "--config", str(self.config)])

    def json(self, *words: str | Path) -> Any:
        """Its one JSON document."""
        told = self.said(*words, "--json")
        assert told.exit_code == 0, told.output
        return json.loads(told.stdout)

    def refused(self, *words: str | Path) -> FlywheelError:
        """The error it ends with."""
        error = self.said(*words).exception
        assert isinstance(error, FlywheelError), error
        return error


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A house."""
    return House(tmp_path)


# ── vllm ────────────────────────────────────────────────────────────────────


def test_each_server_gets_its_base_and_its_figures(house: House) -> None:
    """One command a server: the base that names it, else the first line's; its rank, slots, and what is amiss."""
    first, second = house.json("vllm", "--cuda")
    assert (first["server"], first["base"]) == ("http://127.0.0.1:8000", "main")
    assert (second["server"], second["base"]) == ("http://127.0.0.1:8001", "qwen")
    assert second["argv"][second["argv"].index("--max-lora-rank") + 1] == "32"
    assert "--tool-call-parser" in first["argv"]
    assert any("there is no base at" in note for note in second["notes"])
    assert not any("trains rank" in note for note in second["notes"])


def test_a_line_of_a_higher_rank_than_the_server_takes_is_told(house: House) -> None:
    """Its adapters would be refused, each one, after a whole training."""
    house.write(lines=("plan",))
    house.config.write_text(house.config.read_text().replace("max_lora_rank = 32", "max_lora_rank = 16"))
    _, second = house.json("vllm", "--cuda")
    assert "line plan trains rank 32, and max_lora_rank of this server is 16: raise it" in second["notes"]


def test_the_lock_down_is_told_of_the_daemon_s_token(house: House) -> None:
    """The token is made when there is none; what is emitted holds its hash, and the same one every time."""
    told = house.said("vllm", "--cpu").stdout
    token = read_token(house.home)
    assert token
    assert told.count(token_hash(token)) == 2
    assert token not in told
    assert house.said("vllm", "--cpu").stdout == told
    assert "no lock-down" not in told


def test_a_home_that_is_not_there_gets_no_token_of_root_s(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root makes no file that the daemon could not read: it says that the lock-down is missing."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    house.home.rmdir()
    assert "no lock-down" in house.said("vllm", "--cpu").stdout
    assert not house.home.exists()


def test_a_written_command_is_a_script(house: House) -> None:
    """One server's, that may be run, and never over what is there."""
    script = house.folder / "serve.sh"
    assert house.said("vllm", "--cpu", "--server", "http://127.0.0.1:8000", "--output", script).exit_code == 0
    assert script.stat().st_mode & stat.S_IXUSR
    assert script.read_text().startswith("#!/bin/sh\n")
    assert "exec env \\\n" in script.read_text()
    again = ("vllm", "--cpu", "--server", "http://127.0.0.1:8000", "--output", script, "--context", "512")
    assert "is there already" in str(house.refused(*again))
    assert house.said(*again, "--force").exit_code == 0
    assert "--max-model-len 512" in script.read_text()
    assert "choose one with --server" in str(house.refused("vllm", "--output", house.folder / "both.sh"))


def test_what_vllm_cannot_be_started_for_is_said(house: House) -> None:
    """A server or base that the settings do not name, both builds at once, and no base at all."""
    assert "servers: http://127.0.0.1:8000, " in str(house.refused("vllm", "--server", "http://127.0.0.1:1"))
    assert "bases: main, qwen3-4b" in str(house.refused("vllm", "--base", "x"))
    assert "exclude each other" in str(house.refused("vllm", "--cpu", "--cuda"))
    house.config.write_text(f'home = "{house.home}"')
    assert isinstance(house.refused("vllm"), SettingsError)


# ── opencode ────────────────────────────────────────────────────────────────


def test_opencode_gets_a_model_for_each_line_and_an_agent_for_each_language(house: House) -> None:
    """A clean-room agent's lines are not opencode's; the limits are those of the base."""
    block = house.json("opencode", "--model", "build-rust")
    provider = block["provider"]["flywheel"]
    assert provider["options"] == {"baseURL": "http://127.0.0.1:8711/v1"}
    assert provider["models"].keys() == {"tool-calling", "build-rust"}
    assert provider["models"]["build-rust"]["limit"] == {"context": 40960, "output": 8192}
    assert block["agent"].keys() == {"build-rust"}
    assert block["agent"]["build-rust"]["model"] == block["model"] == "flywheel/build-rust"


def test_a_person_s_words_win(house: House) -> None:
    """Lines, address and context by name; a line that is not there is said."""
    block = house.json("opencode", "--line", "scope", "--gateway", "http://box:1/", "--context", "2000")
    assert block["provider"]["flywheel"]["options"]["baseURL"] == "http://box:1/v1"
    assert block["provider"]["flywheel"]["models"]["scope"]["limit"] == {"context": 2000, "output": 500}
    assert "'x' is not a line of the settings" in str(house.refused("opencode", "--line", "x"))
    assert "is not a line" in str(house.refused("opencode", "--model", "scope"))


def test_where_the_gateway_asks_for_a_key_opencode_finds_one(house: House) -> None:
    """In a variable: no key stands in a file that people show around."""
    key = KeyFile(gateway_key_file(house.home)).add("me", ManualClock().now())
    told = house.said("opencode").stdout
    assert '"apiKey": "{env:FLYWHEEL_GATEWAY_KEY}"' in told
    assert key not in told


def test_merging_adds_ours_and_keeps_theirs(house: House) -> None:
    """Comments, other providers, own agents and prompts stay; our address is set; what was kept is told."""
    file = house.folder / "opencode.json"
    file.write_text(MINE)
    file.chmod(0o600)
    told = house.said("opencode", "--output", file, "--merge")
    assert told.exit_code == 0, told.output
    assert "kept as it was: agent.build-rust.model" in told.stderr
    text = file.read_text()
    merged = read(text).value
    assert "// my own" in text
    assert merged["theme"] == "dark"
    assert merged["provider"]["other"] == {"npm": "x"}
    assert merged["provider"]["flywheel"]["options"] == {"baseURL": "http://127.0.0.1:8711/v1", "timeout": 1}
    assert merged["agent"]["build-rust"]["model"] == "other/mine"
    assert merged["agent"]["build-rust"]["mode"] == "all"
    assert file.stat().st_mode & 0o777 == 0o600
    house.said("opencode", "--output", file, "--merge")
    assert file.read_text() == text
    file.write_text('{"model": "other/mine"}')
    house.said("opencode", "--output", file, "--merge", "--model", "build-rust")
    assert read(file.read_text()).value["model"] == "flywheel/build-rust"


def test_merging_into_nothing_is_the_whole_block(house: House) -> None:
    """And a link is followed, not replaced."""
    file, link = house.folder / "real.json", house.folder / "opencode.json"
    link.symlink_to(file)
    assert house.said("opencode", "--output", link, "--merge").exit_code == 0
    assert link.is_symlink()
    assert json.loads(file.read_text()) == house.json("opencode")


@pytest.mark.parametrize("text", ['{"provider": 1}', "{", "[]"])
def test_a_file_that_cannot_be_added_to_is_left_alone(house: House, text: str) -> None:
    """It is said why, and not a byte changes."""
    file = house.folder / "opencode.json"
    file.write_text(text)
    assert "cannot be added to" in str(house.refused("opencode", "--output", file, "--merge"))
    assert file.read_text() == text


def test_opencode_is_misused(house: House) -> None:
    """Merging needs a file; a gateway at a socket alone has no address; a file that is there stays."""
    assert "--merge needs the file" in str(house.refused("opencode", "--merge"))
    file = house.folder / "opencode.json"
    file.write_text(MINE)
    assert isinstance(house.refused("opencode", "--output", file), MisuseError)
    assert file.read_text() == MINE
    house.write(lines=("scope",))
    assert "no line of the settings is for opencode" in str(house.refused("opencode"))
    house.write('[gateway]\nhost = ""\nsocket = "/run/x.sock"')
    assert "at its socket alone" in str(house.refused("opencode"))


# ── overrides ───────────────────────────────────────────────────────────────


def test_a_clean_room_agent_asks_lines_and_else_the_base(house: House) -> None:
    """`[models.overrides]` as its config.toml takes it, with the names that the server gives the bases."""
    told = house.said("overrides").stdout
    said = tomllib.loads(told)["models"]["overrides"]
    assert (said["scope"], said["precision"]) == ("scope", "qwen")
    assert '#   reasoning = "plan"' in told
    assert house.json("overrides")["resolved"]["execute_plan"] == "plan"
    file = house.folder / "overrides.toml"
    assert house.said("overrides", "--line", "scope", "--context", "32768", "--output", file).exit_code == 0
    assert tomllib.loads(file.read_text())["models"]["overrides"] == {
        "scope": {"model": "scope", "context_window": 32768}
    }


def test_the_source_s_roles_count(house: House) -> None:
    """The settings of a clean-room source say for which of its models a line is."""
    house.write(f'[[sources]]\nname = "a"\nkind = "clean-room"\npath = "{house.home}/raw.sqlite"\n'
                '[sources.roles]\nplan = "coding"')  # fmt: skip
    assert house.json("overrides")["roles"] == {"coding": "plan"}


# ── units ───────────────────────────────────────────────────────────────────


def test_units_are_written_whole_or_not_at_all(house: House) -> None:
    """All of ours and one for each server of this machine, with this machine's paths; none over another."""
    folder = house.folder / "units"
    flywheel = ("--program", "/srv/flywheel/bin/flywheel", "--as", "root")
    told = house.said("units", "--cpu", *flywheel, "--output", folder)
    assert told.exit_code == 0, told.output
    ours = {path.name for path in shipped("systemd").iterdir() if path.name.startswith("flywheel")} | {"vllm.service"}
    assert {path.name for path in folder.iterdir()} == {*ours, "vllm-8001.service"}
    assert f"FLYWHEEL_HOME={house.home}" in (folder / "flywheel.service").read_text()
    assert f"--model {house.base}" in (folder / "vllm.service").read_text()
    assert token_hash(read_token(house.home)) in (folder / "vllm.service").read_text()
    assert f"install -d -m 750 -o root -g root {house.home}" in told.stderr.replace("\n", " ")
    (folder / "flywheel.service").unlink()
    assert "is there already" in str(house.refused("units", *flywheel, "--output", folder))
    assert not (folder / "flywheel.service").exists()
    assert house.said("units", *flywheel, "--output", folder, "--force").exit_code == 0


def test_the_server_s_unit_is_called_as_the_settings_call_it(house: House) -> None:
    """The one that is stopped while training has the GPU; a server elsewhere has no unit here."""
    house.write('[gpu]\nsharing = "stop"\nunit = "models.service"\n')
    house.config.write_text(house.config.read_text().replace("http://127.0.0.1:8001", "http://192.0.2.7:8001"))
    names = house.json("units", "--cuda").keys()
    assert "models.service" in names
    assert not {"vllm.service", "vllm-8001.service"}.intersection(names)


def test_a_server_elsewhere_is_reached_and_the_door_of_llama_server_is_not_started(house: House) -> None:
    """Its address stands in the units of who asks it; a name is told to a person; the door is no vLLM."""
    house.write('[[servers]]\nurl = "http://192.0.2.7:1"\n[[servers]]\nurl = "http://box:1"\n'
                '[[servers]]\nurl = "http://127.0.0.1:8002"\n'
                '[llama]\nbase = "main"\ncommand = ["llama-server"]\nrestart = ["true"]')  # fmt: skip
    told = house.said("units", "--cuda", "--program", "/srv/flywheel/bin/flywheel")
    assert "IPAddressAllow=192.0.2.7" in told.stdout
    assert "IPAddressAllow= in a drop-in" in told.stderr
    assert "of box " in told.stderr
    assert "vllm-8002.service" not in told.stdout
    assert len(house.json("vllm", "--cuda")) == 4
    assert "no vLLM server of the settings is" in str(house.refused("vllm", "--server", "http://127.0.0.1:8002"))
