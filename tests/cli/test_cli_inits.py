"""`flywheel init` as a person types it: what it writes works, what it shows is true, and nothing is written over."""

import json
import os
import pty
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from typer.main import get_command

from flywheel.cli.main import app
from flywheel.core.errors import MisuseError
from flywheel.daemon.houses import chosen_lines
from flywheel.daemon.settings import find_settings, load_settings
from flywheel.policy.loading import load_policies

SAMPLE = Path(__file__).parents[1] / "data" / "opencode" / "opencode-1.15.13.db"
NOWHERE = ("--server", "http://127.0.0.1:1")  # no machine's own servers in a test


@pytest.fixture
def person(tmp_path, monkeypatch) -> Path:
    """A person's home, with a history of opencode, on a machine without a GPU."""
    for variable in [name for name in os.environ if name.startswith(("FLYWHEEL_", "XDG_", "HF_", "OPENCODE", "SUDO_"))]:
        monkeypatch.delenv(variable)
    home = tmp_path / "me"
    database = home / ".local" / "share" / "opencode" / "opencode.db"
    database.parent.mkdir(parents=True)
    shutil.copy(SAMPLE, database)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    monkeypatch.chdir(home)
    return home


def init(capsys, *arguments: str) -> str:
    """Run it in this process; return what it said."""
    get_command(app).main(["init", *NOWHERE, *arguments], standalone_mode=False)
    return capsys.readouterr().out


def test_what_it_writes_works(person, capsys):
    """With --yes: settings that are found without being named, sound policies, and each line with a base of its own."""
    said = init(capsys, "--yes")
    config = person / ".config" / "flywheel" / "flywheel.toml"
    assert find_settings() == config
    settings = load_settings(config)
    assert [(one.kind, one.path) for one in settings.sources] == [
        ("opencode", person / ".local" / "share" / "opencode" / "opencode.db")
    ]
    assert settings.home == person / ".local" / "share" / "flywheel"
    assert settings.policies == config.parent / "policies"
    assert set(chosen_lines(settings, load_policies(settings.policies))) == {"build-ts"}
    get_command(app).main(["policy", "check"], standalone_mode=False)
    assert "sound" in capsys.readouterr().out
    for told in (
        "no model server answers at http://127.0.0.1:1",
        "will watch",
        "never write",
        "will never",
        "14 calls, 6 of them good",
        "flywheel run",
        str(config),
    ):
        assert told in said
    assert not settings.home.exists(), "looking makes no state"


def test_the_doctor_finds_what_was_written_well(person, capsys, tiny_base):
    """Settings, policies, the base that was named and the source that was found; what it misses was not there."""
    init(capsys, "--yes", "--base", str(tiny_base))
    get_command(app).main(["doctor", "--json"], standalone_mode=False)
    findings = json.loads(capsys.readouterr().out)["findings"]
    found = {one["check"]: one["state"] for one in findings}
    ours = ("settings", "policies", "base main", "source opencode")
    assert {name: found[name] for name in ours} == dict.fromkeys(ours, "ok")


def test_nothing_is_written_over_unasked(person, capsys):
    """A second time it refuses, before it looks at anything; with --force what was there is kept beside it."""
    init(capsys, "--yes")
    config = person / ".config" / "flywheel" / "flywheel.toml"
    config.write_text(mine := config.read_text() + "# mine\n")
    line = config.parent / "policies" / "lines" / "build-ts.toml"
    line.write_text(line.read_text() + "# mine, too\n")
    with pytest.raises(MisuseError, match="is there already") as refused:
        init(capsys, "--yes")
    assert "--force" in refused.value.mend
    assert config.read_text() == mine
    assert "flywheel.toml.before-1" in init(capsys, "--yes", "--force")
    assert "# mine" not in config.read_text()
    assert config.with_name("flywheel.toml.before-1").read_text() == mine
    assert "# mine, too" in (config.parent / "policies.before-1" / "lines" / "build-ts.toml").read_text()


def test_a_dry_run_writes_nothing_and_shows_the_file(person, capsys):
    """The very text that would be written."""
    said = init(capsys, "--dry-run")
    assert not (person / ".config").exists()
    init(capsys, "--yes")
    assert (person / ".config" / "flywheel" / "flywheel.toml").read_text() in said


def test_one_json_document(person, capsys):
    """Everything that was found, chosen and written; the state and the settings lie where they are asked to."""
    where = person / "etc" / "flywheel.toml"
    told = json.loads(init(capsys, "--json", "--config", str(where), "--home", str(person / "state")))
    assert told["written"] is True
    assert (told["config"], told["home"]) == (str(where), str(person / "state"))
    assert where.read_text() == told["settings"]
    assert [one["kind"] for one in told["watches"]] == ["opencode"]
    assert told["lines"] == ["build-ts"]
    assert told["findings"]["sources"][0]["languages"] == {"typescript": 6}
    assert f"flywheel run --config {where}" in told["next"]


def test_a_base_is_taken_by_name_and_one_that_is_none_is_refused(person, capsys, tiny_base):
    """With its size, which the guardrails ask for."""
    with pytest.raises(MisuseError, match="there is no model"):
        init(capsys, "--yes", "--base", str(person))
    init(capsys, "--yes", "--base", str(tiny_base))
    (base,) = load_settings(find_settings()).bases.values()
    assert base.path == tiny_base
    assert base.parameters_billion is not None


def test_a_place_that_cannot_be_written_is_one_line(person, capsys):
    """Whatever is in the way."""
    (person / "file").write_text("")
    with pytest.raises(MisuseError, match="cannot be written"):
        init(capsys, "--yes", "--config", str(person / "file" / "flywheel.toml"))


def test_a_person_is_asked_little(person):
    """On a terminal: what to leave out, and whether to write; Enter takes everything."""
    code, said = typed(["\n", "y\n"])
    assert code == 0, said
    assert (person / ".config" / "flywheel" / "flywheel.toml").is_file()


def test_a_person_may_say_no(person):
    """Then nothing was written, and that is no failure of the machine's."""
    code, said = typed(["1\n", "n\n"])
    assert code == 130, said
    assert "opencode:" not in said
    assert not (person / ".config").exists()


def typed(answers: list[str]) -> tuple[int, str]:
    """Run it on a terminal of its own, and answer each question as it comes."""
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "flywheel", "init", *NOWHERE]
    child = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    said, left = "", list(answers)
    timer = threading.Timer(240, child.kill)
    timer.start()
    try:
        while chunk := _read(ours):
            said += chunk
            if left and said.rstrip().endswith(("leave out:", "[Y/n]:")) and chunk.strip():
                os.write(ours, left.pop(0).encode())
        return child.wait(), said
    finally:
        timer.cancel()
        os.close(ours)


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:  # the other end is closed
        return ""
