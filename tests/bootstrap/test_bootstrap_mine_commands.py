"""`flywheel bootstrap mine`: what people and programs are told."""

import json

import pytest
from histories_house import History
from typer.testing import CliRunner

from flywheel.bootstrap.repos import look_at
from flywheel.bootstrap.shelves import Shelf
from flywheel.cli.main import app
from flywheel.core.errors import FlywheelError

LARGE = {"a.py": "x = 1\n" * 1200}


@pytest.fixture
def said(tmp_path):
    config = tmp_path / "flywheel.toml"
    (tmp_path / "base").mkdir()
    config.write_text(
        f'home = "{tmp_path / "home"}"\nlines = ["code"]\n[bases.main]\npath = "{tmp_path / "base"}"\nserved_as = "b"\n'
    )

    def say(*arguments):
        words = ["bootstrap", "mine", *map(str, arguments), "--config", str(config)]
        done = CliRunner().invoke(app, words, standalone_mode=False)
        if isinstance(done.exception, FlywheelError):
            return str(done.exception)
        assert done.exception is None, done.exception
        return done.stdout

    return say


def test_it_is_told_what_became_of_each_commit(said, tmp_path):
    """For one line, in words and as JSON; a second time nothing is new."""
    history = History(tmp_path / "clone")
    history.commit("Start the project with a parser", {"a.py": "x = 1\n"})
    history.commit("wip", {"a.py": "x = 2\n"})
    told = json.loads(said(history.path, "--own", "--line", "code", "--json"))
    (row,) = told["repos"]
    assert (row["commits"], row["poor_messages"], row["counts"]["kept"]) == (2, 1, 1)
    with Shelf(tmp_path / "home" / "bootstrap.db") as shelf:
        assert {making.line for task in shelf.tasks() for making in shelf.makings(task)} == {"code"}
    again = said(history.path, "--own", "--line", "code")
    assert "1 commits wait for a better message" in again
    assert f"{row['makings']} examples of 2 commits" in again
    assert "there is no line 'cod'" in said(history.path, "--own", "--line", "cod")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("A small ASGI framework", "a web framework"),
        ("An async HTTP client for people", "an HTTP client"),
        ("A distributed task queue", "a task queue"),
        ("Speaks AMQP", "a message broker"),
    ],
)
def test_defensive_kinds_are_refused_by_name(said, tmp_path, words, kind):
    """The project's own words decide; one's own is mined in any case."""
    history = History(tmp_path / "clone")
    history.commit("Start it", LARGE | {"pyproject.toml": f'[project]\nname = "x"\ndescription = "{words}"\n'})
    refusal = said(history.path)
    assert kind in refusal
    assert "defensive by trade" in refusal
    assert "--own" in refusal
    assert json.loads(said(history.path, "--own", "--json"))["refused"] == {}


def test_others_are_known_by_owner_domain_and_size(said, tmp_path):
    """What the limits are judged by stands with each making of somebody else's repository."""
    history = History(tmp_path / "clone")
    about = '[project]\nname = "x"\ndescription = "Reads markup"\nclassifiers = ["Topic :: Text Processing"]\n'
    history.commit("Start it", LARGE | {"pyproject.toml": about})
    history.commit("Add one more name", {"a.py": LARGE["a.py"] + "y = 2\n"})
    history.git("remote", "add", "origin", "git@example.org:writers/markup.git")
    assert look_at(history.path).organisation == "writers"
    said(history.path)
    with Shelf(tmp_path / "home" / "bootstrap.db") as shelf:
        abouts = [making.about for task in shelf.tasks() for making in shelf.makings(task)]
    assert abouts
    for one in abouts:
        assert (one["foreign"], one["domain"], one["organisation"], one["lines"]) == (True, "text", "writers", 1201)
