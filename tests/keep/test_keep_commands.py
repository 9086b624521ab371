"""`flywheel backup | restore | verify | gc`, as a person types them."""

import io
import json
import sys

import pytest
from fixtures.homes import LINE, NOON, long_ago, opened

from flywheel.cli.main import main
from flywheel.core.events import Event
from flywheel.core.releases import ReleaseState
from flywheel.daemon.locks import only_daemon
from flywheel.store.ledger import append
from flywheel.store.releases import move
from flywheel.store.requests import open_requests


@pytest.fixture
def say(home, place, tmp_path, monkeypatch, capsys):
    """Run a command in this process; return its status and what it said."""
    config = tmp_path / "flywheel.toml"
    config.write_text(f'home = "{home.path}"\n[keep]\nbackups = "{place}"\nbackups_kept = 2\n')
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # nobody types

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["flywheel", *map(str, arguments), "--config", str(config)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


def test_from_a_backup_to_a_home_that_is_whole(home, place, say, tmp_path):
    """Back up where the settings say, list, restore elsewhere, verify: each says what it did."""
    status, out, _ = say("backup")
    assert status == 0
    assert "every part read back" in out
    for _ in range(3):
        status, out, _ = say("backup")
    assert "dropped 1 older" in out
    (_, second) = json.loads(say("restore", place, "--list", "--json")[1])
    assert second["events"] > 3
    assert say("restore", place, "--list")[1].startswith("2 backups")
    status, _, err = say("restore", place)
    assert status == 2
    assert "--force moves it aside" in err
    status, out, _ = say("restore", place, "--to", tmp_path / "new")
    assert status == 0
    assert f"to {tmp_path / 'new'}" in out
    assert "settings and policies as they were" in out
    assert (tmp_path / "new" / "settings" / "flywheel.toml").exists()
    assert say("verify", "--backup", place)[:2] == (0, "2 backups: whole\n")
    assert say("verify")[1] == "1 database, 1 dataset, 1 suite, 1 adapter, 1 report: whole\n"


def test_damage_is_told_with_its_mend_and_mended(home, place, say):
    """`verify` names the very command that puts the folder back; afterwards all is whole, and the exit codes say so."""
    say("backup")
    (model,) = (home.path / "adapters").rglob("adapter_model.safetensors")
    model.write_bytes(b"x")
    status, out, _ = say("verify")
    assert status == 1
    only = out.split("--only ")[1].split("`")[0]
    status, found, _ = say("verify", "--json")
    assert (status, json.loads(found)["findings"][0]["place"]) == (1, model.relative_to(home.path).as_posix())
    status, _, err = say("backup")
    assert status == 1
    assert "not whole in the home" in err
    first = json.loads(say("restore", place, "--list", "--json")[1])[0]["id"]
    assert say("restore", place, "--backup", first, "--only", only)[0] == 0
    assert say("verify")[0] == 0


def test_what_was_forgotten_since_is_told(home, place, say):
    """Putting an older backup back brings back what was forgotten: the command says how much."""
    say("backup")
    with home.store.write() as session:
        append(session, Event(kind="operator.records_forgotten", at=home.clock.now(), subject="repo x"))
    status, out, _ = say("restore", place, "--force")
    assert status == 0
    assert "1 requests to forget came after this backup" in out
    assert "what was there lies in" in out


def test_a_running_daemon_is_not_restored_under(home, place, say, tmp_path):
    """It holds its home: the command says so and changes nothing."""
    say("backup")
    with only_daemon(home.path):
        status, _, err = say("restore", place, "--force")
        assert status == 1
        assert "another daemon" in err
        assert say("restore", place, "--to", tmp_path / "other")[0] == 0
    assert home.whole() == ()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["backup", "HOME/inside"], "lost with it"),
        (["restore", "HOME"], "no backup at"),
        (["restore", "PLACE", "--backup", "2001"], "there is no backup 2001"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(home, place, say, words, told):
    """A place in the home, a folder that holds no backups, a backup that is not there."""
    say("backup")
    words = [word.replace("HOME", str(home.path)).replace("PLACE", str(place)) for word in words]
    status, out, err = say(*words)
    assert (status, out) == (2, "")
    assert told in err


def test_tidying_asks_first_and_tells_what_stays(home, say):
    """Without a terminal it wants --yes; a dry run tells sizes and reasons; without a daemon it does it itself."""
    long_ago(home.path / "runs", 40)
    with home.store.write() as session:
        move(session, f"{LINE}@1", ReleaseState.RETIRED, NOON, 1)
    rows = {row["kind"]: row for row in json.loads(say("gc", "--dry-run", "--json")[1])}
    assert rows["checkpoints"]["stays"] == ""
    assert rows["checkpoints"]["bytes"] > 1000
    assert rows["dataset"]["stays"]
    assert "may go" in say("gc", "--dry-run")[1]
    status, _, err = say("gc")
    assert status == 2
    assert "--yes" in err
    assert list((home.path / "runs").glob("*/out/checkpoints"))
    status, out, _ = say("gc", "--yes", "--reason", "room")
    assert status == 0
    assert "runs' checkpoints" in out
    assert not list((home.path / "runs").glob("*/out/checkpoints"))
    again = opened(home.path)
    assert again.whole() == ()
    again.close()


def test_beside_a_daemon_tidying_is_a_request(home, say):
    """The daemon does it in its next cycle; nobody deletes under it."""
    long_ago(home.path / "runs", 40)
    with only_daemon(home.path):
        status, out, _ = say("gc", "--yes", "--wait", "0")
    assert status == 0
    assert "no answer yet" in out
    assert list((home.path / "runs").glob("*/out/checkpoints"))
    with home.store.read() as session:
        assert [one.kind for one in open_requests(session)] == ["tidy"]
