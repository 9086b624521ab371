"""`flywheel suites import | adopt | rotate | list | show`, from the command to the daemon's cycle and back."""

import asyncio
import json
import sys

import pytest

from flywheel.cli.main import main
from flywheel.daemon.run import cycle_once
from flywheel.daemon.settings import load_settings
from flywheel.store.stores import open_store, sqlite_url
from flywheel.store.suites import live_suite, suites


def row(number, **changes):
    tests = {"inputs": [f"{number}\n"], "outputs": [f"{number}\n"]}
    return {
        "problem_id": number, "question": f"Read the number of case {number} and print it as it is.",
        "input_output": json.dumps(tests), "difficulty": "interview" if number % 2 else "[red]intro[/red]",
        "url": f"https://codeforces.com/problemset/problem/{number}/A",
    } | changes  # fmt: skip


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    with open_store(sqlite_url(folder / "flywheel.db")):
        pass
    return folder


@pytest.fixture
def config(tmp_path, home):
    base = tmp_path / "base"
    base.mkdir()
    path = tmp_path / "flywheel.toml"
    path.write_text(f'home = "{home}"\nlines = ["tool-calling"]\n\n[bases.main]\npath = "{base}"\nserved_as = "main"\n')
    return path


@pytest.fixture
def say(monkeypatch, capsys, config):
    def run(*arguments, status=0):
        monkeypatch.setattr(sys, "argv", ["flywheel", *arguments, "--config", str(config)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        told = capsys.readouterr()
        assert int(left.value.code or 0) == status, told
        return told.out + told.err

    return run


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "apps.jsonl"
    rows = [*(row(n) for n in range(1, 13)), row(13, question=""), row(14, input_output="{")]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def cycle(config):
    asyncio.run(cycle_once(load_settings(config)))


def test_an_import_is_read_asked_and_done(say, config, file, home):
    """The command reads and counts, the daemon freezes; list and show say how the suite stands."""
    told = say("suites", "import", "mine", str(file), "--line", "tool-calling", "--wait", "0")
    assert "read 14 rows as apps: 12 problems" in told
    assert "left out 1: no question" in told
    assert "left out 1: tests cannot be read" in told
    assert "no answer yet" in told
    cycle(config)
    (listed,) = json.loads(say("suites", "list", "--json"))
    assert (listed["name"], listed["origin"], listed["problems"], listed["judged"]) == ("mine", "imported", 12, 0)
    assert listed["state"].startswith("live")
    assert "mine" in say("suites", "list")
    shown = json.loads(say("suites", "show", "mine", "--json"))
    assert shown["left_out"] == {"no question": 1, "tests cannot be read": 1}
    assert shown["categories"] == {"[red]intro[/red]": 6, "interview": 6}
    assert "[red]intro[/red]" in say("suites", "show", listed["hash"][:10])
    assert list((home / "imports").iterdir()) == []


def test_a_limit_and_json(say, file):
    """So many problems are kept, and one JSON document says so."""
    told = json.loads(
        say("suites", "import", "few", str(file), "-l", "tool-calling", "-n", "3", "--wait", "0", "--json")
    )
    assert (told["kind"], told["subject"], told["body"]["problems"], told["state"]) == ("import", "few", 3, "open")


def test_adopting_and_rotating_are_asked_of_the_daemon(say, config, file, tmp_path):
    """A second import waits; adopting it retires the first; a rotation without rows says what it waits for."""
    say("suites", "import", "first", str(file), "--line", "tool-calling", "--wait", "0")
    cycle(config)
    other = tmp_path / "other.jsonl"
    words = ["river", "mountain", "engine", "letter"]
    other.write_text("".join(json.dumps(row(n, question=f"Say {w} {w}ing {w}ed for {n} days and stop.")) + "\n"
                             for n, w in enumerate(words, 50)))  # fmt: skip
    say("suites", "import", "second", str(other), "--line", "tool-calling", "--wait", "0")
    cycle(config)
    states = {one["name"]: one["state"] for one in json.loads(say("suites", "list", "--json"))}
    assert states["second"] == "waiting"
    assert "no answer yet" in say("suites", "adopt", "second", "--line", "tool-calling", "--wait", "0")
    cycle(config)
    states = {one["name"]: one["state"] for one in json.loads(say("suites", "list", "--json"))}
    assert states["first"] == "retired"
    assert states["second"].startswith("live")
    say("suites", "rotate", "tool-calling", "--reason", "new repos", "--wait", "0")
    cycle(config)
    (asked,) = [one for one in json.loads(say("requests", "list", "--json")) if one["kind"] == "rotate"]
    assert (asked["state"], "until the next dataset holds rows out" in asked["answer"]) == ("satisfied", True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("import", "n", "FILE", "--line", "other"), "'other' is not a line of the settings"),
        (("import", "a/b", "FILE", "--line", "tool-calling"), "'a/b' is no name for a suite"),
        (("import", "n", "none.jsonl", "--line", "tool-calling"), "is no file"),
        (("import", "n", "FILE", "--line", "tool-calling", "--shape", "mbpp"), "there is no shape 'mbpp'"),
        (("adopt", "n", "--line", "other"), "'other' is not a line of the settings"),
        (("rotate", "other"), "'other' is not a line of the settings"),
        (("show", "none"), "nothing among the suites is called 'none'"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(say, file, arguments, told):
    """Nothing is asked, and the exit code is that of misuse."""
    said = say("suites", *[str(file) if one == "FILE" else one for one in arguments], status=2)
    assert told in said
    assert json.loads(say("requests", "list", "--json")) == []


def test_a_file_without_a_problem_asks_nothing(say, tmp_path, home):
    """The reasons are told, and nothing is left behind."""
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(row(1, question="")) + "\n")
    assert "1: no question" in say("suites", "import", "n", str(path), "--line", "tool-calling", status=1)
    assert list((home / "imports").iterdir()) == []
    with open_store(sqlite_url(home / "flywheel.db")) as store, store.read() as session:
        assert (suites(session), live_suite(session, "tool-calling")) == ([], None)
