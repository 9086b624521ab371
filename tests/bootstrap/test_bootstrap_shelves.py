"""The shelf of what a cold start made."""

import sqlite3
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel.bootstrap.shelves import Shelf
from flywheel.core.errors import CorruptError
from flywheel.core.makings import Making
from flywheel.core.outcomes import Message, Signal

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def making(key="k", **values):
    told = {
        "recipe": "mine", "origin": "synthetic", "group": "repo", "call_type": "code", "at": NOON, "model": "git",
        "messages": (Message(role="user", content="Add it"),), "response": "added",
        "signals": (Signal(name="kept", points=1, strength=0.8),),
    }  # fmt: skip
    return Making(key=key, **(told | values))


def sequence(path):
    with sqlite3.connect(path) as connection:
        found = dict(connection.execute("SELECT task, seq FROM tasks"))
    connection.close()
    return found


def test_what_was_made_lies_there_with_how_far_it_got(tmp_path):
    """Tasks and marks are there for whoever opens the file next."""
    path = tmp_path / "home" / "bootstrap.db"
    with Shelf(path) as shelf:
        shelf.put({"mine/r/1": [making("a"), making("b", licence="MIT")]}, {"mine/r": {"commit": "1"}})
    with Shelf(path) as shelf:
        assert [one.key for one in shelf.makings("mine/r/1")] == ["a", "b"]
        assert shelf.makings("mine/r/1")[1].licence == "MIT"
        assert (shelf.mark("mine/r"), shelf.mark("mine/other")) == ({"commit": "1"}, {})
        assert shelf.marks("mine/") == {"mine/r": {"commit": "1"}}
        assert (list(shelf.tasks("mine/")), shelf.counts()) == (["mine/r/1"], {"mine": 2})
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_did_not_change_stays_in_place(tmp_path):
    """The same again is no news; something else is, under a number never used before; nothing withdraws it."""
    path = tmp_path / "bootstrap.db"
    with Shelf(path) as shelf:
        shelf.put({"a": [making()], "b": [making()]})
        shelf.put({"a": [making()]})
        assert sequence(path) == {"a": 1, "b": 2}
        shelf.put({"b": [making(response="better")]})
        shelf.put({"a": [], "never": []})
        assert sequence(path) == {"b": 3, "a": 4}
        assert (shelf.makings("a"), list(shelf.tasks())) == ((), ["b"])


def test_a_failure_leaves_all_as_it_was(tmp_path):
    """Makings and mark are written together or not at all."""
    with Shelf(tmp_path / "bootstrap.db") as shelf:
        with pytest.raises(TypeError):
            shelf.put({"a": [making()]}, {"m": {"no": object()}})
        assert (list(shelf.tasks()), shelf.mark("m")) == ([], {})
        shelf.put({"a": [making()]})
        assert list(shelf.tasks()) == ["a"]


def test_a_damaged_file_is_said(tmp_path):
    """In one line, with what to do."""
    path = tmp_path / "bootstrap.db"
    path.write_bytes(b"no database" * 500)
    with pytest.raises(CorruptError, match=r"bootstrap\.db is damaged"):
        Shelf(path)


texts = st.text(max_size=20)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(texts, st.lists(st.tuples(texts.filter(bool), texts), max_size=3), max_size=4))
def test_any_words_come_back_as_they_were(tmp_path, tasks):
    """Whatever Unicode a task, a question or an answer holds."""
    path = tmp_path / "any.db"
    path.unlink(missing_ok=True)
    made = {task: [making(key, response=words) for key, words in pairs] for task, pairs in tasks.items()}
    with Shelf(path) as shelf:
        shelf.put(made)
        assert {task: list(shelf.makings(task)) for task in made} == made
