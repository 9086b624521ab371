"""Clones mined onto the shelf."""

import pytest
from histories_house import History

from flywheel.bootstrap.chunk_miners import NO_TEXT, NOTHING, OTHERS, Way
from flywheel.bootstrap.miners import mine
from flywheel.bootstrap.repos import Repo, look_at
from flywheel.bootstrap.shelves import Shelf
from flywheel.core.edits import apply_edits, parse_edits
from flywheel.core.errors import MisuseError

MIT = "MIT License\n\nPermission is hereby granted, free of charge, to any person\n\nWITHOUT WARRANTY OF ANY KIND"


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / "clone")
    made.commit("Start the project with a parser", {"a.py": "def f():\n    return 1\n", "LICENSE": MIT})
    return made


@pytest.fixture
def shelf(tmp_path):
    with Shelf(tmp_path / "bootstrap.db") as made:
        yield made


def mined(history, shelf, **way):
    said = []
    end = mine(look_at(history.path), shelf, Way(**way), said.append)
    assert sum(end.counts.values()) == end.done
    return end, said


def answers(shelf):
    """Return what each commit changed, as it is told."""
    makings = {task: shelf.makings(task) for task in shelf.tasks("mine/")}
    return {task: one for task, told in makings.items() for one in told if one.call_type == "execute_implement"}


def test_every_commit_is_counted_and_the_lessons_are_told(history, shelf):
    """Kept, or rejected for one reason; a lesson's edits make the new file of the old one, byte for byte."""
    before, after = "def f():\n    return 1\n", "def f():\r\n    return 2  # \u00e4\n\x0cx = '</file>'"
    name = history.commit("Return two instead of one", {"a.py": after})
    history.commit("wip", {"a.py": "x = 1\n"})
    history.commit("Delete the old module file", {"a.py": None, "b.py": "y = 1\n"})
    history.commit("Add bytes that are none", {"c.py": b"x = '\xff'\n"})
    end, said = mined(history, shelf)
    assert end.counts == {"kept": 2, "message of fewer than three words": 1, NOTHING: 1, NO_TEXT: 1}
    assert (said[-1].done, said[-1].of, end.makings) == (5, 5, sum(shelf.counts().values()))
    making = answers(shelf)[f"mine/clone/{name}"]
    assert apply_edits({"a.py": before}, parse_edits(making.response))["a.py"] == after
    assert before in making.messages[0].content
    assert (making.licence, making.about) == (
        "MIT",
        {"repo": "clone", "commit": name, "foreign": True, "lines": 2},
    )


def test_a_clone_is_not_written(history, shelf):
    """Not a byte below it changes: no configuration, no lock, no index."""
    before = {path: path.read_bytes() for path in history.path.rglob("*") if path.is_file()}
    mined(history, shelf, processes=2)
    assert {path: path.read_bytes() for path in history.path.rglob("*") if path.is_file()} == before


def test_a_history_that_went_on_is_mined_from_where_it_was(history, shelf):
    """Nothing is mined twice; merges and side branches come once."""
    mined(history, shelf)
    history.git("checkout", "-q", "-b", "side")
    history.commit("Add a helper to the side", {"side.py": "s = 1\n"})
    history.git("checkout", "-q", "main")
    history.commit("Add a helper to the main line", {"main.py": "m = 1\n"})
    history.git("merge", "-q", "--no-ff", "-m", "Merge the side branch here", "side")
    end, _ = mined(history, shelf)
    assert (end.done, end.counts["merge"], end.counts["kept"]) == (4, 1, 3)
    assert mined(history, shelf) == (end, [])
    assert len(answers(shelf)) == 3


def test_one_that_was_written_anew_is_mined_anew(history, shelf):
    """A mark of a commit that is no longer there means nothing, and what it gave is withdrawn, pruned or not."""
    mined(history, shelf)
    for message, prune in (("Begin the project with a parser", False), ("Open the project with a parser", True)):
        history.git("commit", "-q", "--amend", "-m", message)
        if prune:
            history.git("reflog", "expire", "--expire=now", "--all")
            history.git("gc", "-q", "--prune=now")
        end, _ = mined(history, shelf)
        assert end.done == 1
        assert list(shelf.tasks("mine/")) == [f"mine/clone/{history.git('rev-parse', 'HEAD')}"]


def test_own_commits_alone_by_setting(history, shelf):
    """With authors, others' commits are no lessons; one's own repository is not foreign."""
    mine_, theirs = "ada@example.org", {"GIT_AUTHOR_EMAIL": "bob@example.org", "GIT_AUTHOR_NAME": "Bob"}
    history.commit("Add a function of somebody else", {"b.py": "b = 1\n"}, **theirs)
    end, _ = mined(history, shelf, own=True, authors=frozenset({mine_}))
    assert end.counts == {"kept": 1, OTHERS: 1}
    assert all("foreign" not in making.about for making in answers(shelf).values())


def test_ones_own_specialists_languages_are_lessons(history, shelf):
    """Rust of one's own repository is told as Rust, for the line that learns it; of somebody else's it is not mined."""
    history.commit("Add a function in Rust", {"src/lib.rs": "pub fn f() -> i32 {\n    1\n}\n"})
    history.commit("Return two instead of one", {"src/lib.rs": "pub fn f() -> i32 {\n    2\n}\n"})
    end, _ = mined(history, shelf)
    assert end.counts == {"kept": 1, "no Python, TypeScript or JavaScript": 2}
    end, _ = mined(history, shelf, own=True)
    assert end.counts == {"kept": 3}
    assert sum("language:rust" in one.tags for one in answers(shelf).values()) == 2


@pytest.mark.parametrize("stop", [1, 2, 4])
def test_stopped_anywhere_it_goes_on_and_ends_the_same(history, tmp_path, stop):
    """Cut off after any chunk, and while the history goes on: the same counts and makings as at one go."""
    history = History(tmp_path / "grown")
    history.fast(260)
    with Shelf(tmp_path / "once.db") as once:
        end, _ = mined(history, once)
        whole = answers(once)
    with Shelf(tmp_path / "twice.db") as twice:
        chunks = 0

        def cut(progress):
            nonlocal chunks
            chunks += 1
            if chunks == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            mine(look_at(history.path), twice, Way(processes=2), cut)
        again, _ = mined(history, twice, processes=2)
        assert (again.counts, again.makings) == (end.counts, end.makings)
        assert answers(twice) == whole
        history.git("reset", "-q", "--hard")
        history.commit("Add one more function here", {"z.py": "z = 1\n"})
        assert mined(history, twice)[0].done == 261


def test_what_may_not_be_mined_says_why(history, tmp_path):
    """Too small, too large, of a kind that is defensive by trade; no clone at all."""
    assert "lines of code" in look_at(history.path).reason_against
    history.commit("Say what it is", {"pyproject.toml": '[project]\nname="x"\ndescription="A tiny web framework"\n'})
    assert "web framework" in look_at(history.path).reason_against
    large = look_at(history.path)._replace(lines=2000, excluded="")
    assert isinstance(large, Repo)
    assert large.reason_against == ""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(MisuseError, match=r"no folder|no history"):
            look_at(path)
