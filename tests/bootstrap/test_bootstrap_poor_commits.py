"""Commits that only their message speaks against: kept aside, given a better message, and then lessons as any other."""

from itertools import islice

import pytest
from histories_house import History

from flywheel.bootstrap.chunk_miners import Way
from flywheel.bootstrap.miners import mine
from flywheel.bootstrap.poor_commits import makings_of, poor_commits
from flywheel.bootstrap.repos import look_at
from flywheel.bootstrap.shelves import Shelf
from flywheel.core.edits import apply_edits, parse_edits

BETTER = "Return two instead of one"
ABOUT = {"teacher": "large", "score": 9}


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / "clone")
    made.commit("Start the project with a parser", {"a.py": "def f():\n    return 1\n"})
    return made


def mined(history, home, **way):
    with Shelf(home / "bootstrap.db") as shelf:
        return mine(look_at(history.path), shelf, Way(**way), lambda _: None)


def hashes(home):
    return [poor.hash for poor in poor_commits(home)]


def test_only_the_message_may_speak_against_it(history, tmp_path):
    """A generic, short or wordless message is kept aside; a poor change, a bot's and what no edit can say are not."""
    good = [
        history.commit("wip", {"a.py": "def f():\n    return 2\n"}),
        history.commit("Updated the thing", {"b.py": "b = 1\n"}),
        history.commit("The parser was wrong", {"b.py": "b = 2\n"}),
    ]
    history.commit("wip", {"README.md": "words\n"})
    history.commit("fix", {"b.py": "".join(f"x{n} = 1\n" for n in range(300))})
    history.commit("wip", {"c.py": "c = 1\n"}, GIT_AUTHOR_NAME="dependabot[bot]")
    history.commit("wip", {"b.py": None})
    history.commit("wip", {"d.py": b"d = '\xff'\n"})
    mined(history, tmp_path)
    assert sorted(hashes(tmp_path)) == sorted(good)
    poor = next(one for one in poor_commits(tmp_path) if one.hash == good[0])
    assert (poor.repo, poor.message.strip(), poor.fault) == ("clone", "wip", "message of fewer than three words")
    assert "-    return 1\n+    return 2\n" in poor.diff
    assert poor.path == history.path.resolve()


def test_a_better_message_makes_it_a_lesson(history, tmp_path):
    """All that a good message would have made, with whose message it is; then the commit waits no more."""
    name = history.commit("wip", {"a.py": "def f():\n    return 2\n"})
    mined(history, tmp_path, line="code")
    (poor,) = poor_commits(tmp_path)
    makings = makings_of(poor, BETTER, ABOUT)
    kinds = {making.call_type for making in makings}
    assert kinds == {
        "task_analysis", "scope", "precision", "execute_plan", "execute_implement", "execute_function_implement",
    }  # fmt: skip
    assert all(making.about["message"] == ABOUT and making.line == "code" for making in makings)
    assert all(BETTER in making.messages[0].content for making in makings)
    assert {one.call_type for one in makings if one.origin == "teacher"} == {"task_analysis", "execute_plan"}
    edits = next(one.response for one in makings if one.call_type == "execute_implement")
    assert apply_edits({"a.py": "def f():\n    return 1\n"}, parse_edits(edits))["a.py"].endswith("return 2\n")
    assert poor.task == f"mine/clone/{name}"
    with Shelf(tmp_path / "bootstrap.db") as shelf:
        shelf.put({poor.task: makings})
    assert hashes(tmp_path) == []


@pytest.mark.parametrize("message", ["wip", "", "It was wrong before", "update everything now"])
def test_a_message_that_is_no_better_makes_nothing(history, tmp_path, message):
    """What the filter would reject again is not believed."""
    history.commit("wip", {"a.py": "def f():\n    return 2\n"})
    mined(history, tmp_path)
    (poor,) = poor_commits(tmp_path)
    assert makings_of(poor, message, ABOUT) == []


def test_mined_another_way_it_is_told_anew(history, tmp_path):
    """For another line, or of other authors: what is no lesson any more is withdrawn, and nothing waits twice."""
    history.commit("wip", {"a.py": "def f():\n    return 2\n"})
    first = mined(history, tmp_path)
    (poor,) = poor_commits(tmp_path)
    with Shelf(tmp_path / "bootstrap.db") as shelf:
        shelf.put({poor.task: makings_of(poor, BETTER, ABOUT)})
        again = mined(history, tmp_path, line="code")
        assert (again.counts, again.makings, len(hashes(tmp_path))) == (first.counts, first.makings, 1)
        lines = {making.line for task in shelf.tasks("mine/") for making in shelf.makings(task)}
        assert lines == {"code"}
        mined(history, tmp_path, authors=frozenset({"bob@example.org"}))
        assert (list(shelf.tasks("mine/")), hashes(tmp_path)) == ([], [])


def test_a_clone_that_is_gone_or_was_rewritten_gives_none(history, tmp_path):
    """No error: what is not there cannot be told, and another folder's name is no other repo's."""
    history.commit("wip", {"a.py": "def f():\n    return 2\n"})
    mined(history, tmp_path)
    assert list(poor_commits(tmp_path, "other")) == []
    assert len(list(poor_commits(tmp_path, "clone"))) == 1
    history.git("commit", "-q", "--amend", "-m", "Return two instead of one")
    assert hashes(tmp_path) == []
    history.path.rename(tmp_path / "elsewhere")
    assert hashes(tmp_path) == []


def test_many_are_told_page_by_page(tmp_path):
    """In the same order each time, while the shelf is written meanwhile."""
    grown = History(tmp_path / "grown")
    grown.fast(99)
    mined(grown, tmp_path)
    found = hashes(tmp_path)
    assert (len(found), found) == (66, sorted(found))
    with Shelf(tmp_path / "bootstrap.db") as shelf:
        for poor in islice(poor_commits(tmp_path), 3):
            shelf.put({poor.task: makings_of(poor, "Add one more function here", ABOUT)})
    assert hashes(tmp_path) == found[3:]
