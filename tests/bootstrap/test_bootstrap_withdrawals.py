"""What is forgotten leaves the shelf and the teachers' book, too."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from flywheel.bootstrap.shelves import Shelf
from flywheel.bootstrap.withdrawals import withdraw, withdraw_made
from flywheel.cli.main import app
from flywheel.core.forgetting import Scope
from flywheel.core.makings import Making
from flywheel.core.outcomes import Message, Signal


def making(repo, session):
    return Making(
        key=session, recipe="mine", origin="synthetic", group=repo, call_type="code",
        at=datetime(2026, 1, 1, tzinfo=UTC), model="git",
        messages=(Message(role="user", content="Add it"),), response="added", session=session,
        signals=(Signal(name="kept", points=1, strength=0.8),),
    )  # fmt: skip


@pytest.fixture
def home(tmp_path):
    tasks = {}
    for number in range(450):  # more than two pages
        repo = ("ours", "theirs", "both")[number % 3]
        told = [making("ours", f"s{number}"), making("theirs", "t")] if repo == "both" else [making(repo, "s")]
        tasks[f"mine/{repo}/{number:03}"] = told
    with Shelf(tmp_path / "bootstrap.db") as shelf:
        shelf.put(tasks, {"poor/ours/1": {}, "poor/theirs/1": {}, "mine/ours": {"done": "x"}})
    return tmp_path


def left(home):
    with Shelf(home / "bootstrap.db") as shelf:
        return [one for task in shelf.tasks() for one in shelf.makings(task)], set(shelf.marks(""))


def test_a_repo_leaves_the_shelf_whole_and_nothing_else_does(home):
    """All that was made of it is withdrawn, also where a task has more; what waits for words goes, the place stays."""
    assert withdraw(home, Scope(kind="repo", name="ours")) == 300
    makings, marks = left(home)
    assert (len(makings), {one.group for one in makings}) == (300, {"theirs"})
    assert marks == {"poor/theirs/1", "mine/ours"}
    assert withdraw(home, Scope(kind="repo", name="ours")) == 0


def test_a_session_leaves_alone_and_an_example_is_no_name_here(home, tmp_path):
    """Only that session's makings go; an example's id says nothing to the shelf, and none is made where none is."""
    assert withdraw(home, Scope(kind="session", name="s2")) == 1
    assert withdraw(home, Scope(kind="example", name="s2")) == 0
    assert withdraw(tmp_path / "elsewhere", Scope(kind="repo", name="ours")) == 0
    assert not (tmp_path / "elsewhere").exists()


def test_what_was_made_under_a_name_is_withdrawn_and_can_be_made_again(home, tmp_path):
    """All below the name and nothing that only begins alike; how far it got is forgotten, so that it is made anew."""
    with Shelf(home / "bootstrap.db") as shelf:
        shelf.put(
            {"mine/ours-too/1": [making("ours-too", "x")]}, {"mine/ours/part": {"a": 1}, "mine/ours-too": {"a": 1}}
        )
    assert withdraw_made(home, "mine/ours") == 150
    makings, marks = left(home)
    assert {one.group for one in makings} == {"theirs", "ours", "ours-too"}  # `mine/both` holds more of ours
    assert marks == {"poor/theirs/1", "mine/ours-too"}
    with Shelf(home / "bootstrap.db") as shelf:
        assert (shelf.mark("mine/ours"), shelf.mark("mine/ours-too")) == ({}, {"a": 1})
    assert withdraw_made(home, "mine") == 451
    assert left(home)[0] == []
    assert withdraw_made(tmp_path / "elsewhere", "mine") == 0


def test_the_command_asks_first_and_says_how_many(home):
    """Without a terminal it wants --yes; a name under which nothing can be made is misuse; then it counts."""
    config = home / "flywheel.toml"
    config.write_text(f'home = "{home}"\n')

    def call(*words):
        return CliRunner().invoke(app, ["bootstrap", "withdraw", *words, "--config", str(config)])

    assert "--yes" in str(call("mine/ours").exception.mend)
    assert "nothing is made under '../x'" in str(call("../x", "--yes").exception)
    assert "450" not in call("mine/ours", "--yes").stdout
    assert json.loads(call("mine", "--yes", "--json").stdout) == {"withdrawn": 450}
    assert "0 examples of mine withdrawn" in call("mine", "--yes").stdout
