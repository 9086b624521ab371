"""Where in a curriculum a commit stands, by its history."""

from datetime import UTC, datetime, timedelta

import pytest
from histories_house import History
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.bootstrap.chunk_miners import Order, Way, mine_chunk
from flywheel.bootstrap.commit_chains import CHAIN, CONTEXT, chain_lengths, level_of_change
from flywheel.bootstrap.commit_filters import Change, Commit
from flywheel.bootstrap.histories import Told, commit_names, names_before
from flywheel.bootstrap.repos import look_at
from flywheel.core.curricula import LEVELS, curriculum_tag, level_among

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def told(hours, *paths, email="ada@example.org"):
    changes = tuple(Change(path, 1, 0) for path in paths)
    return Told("h", MOMENT + timedelta(hours=hours), Commit("m", "Ada", email, 1, changes))


def test_a_chain_goes_on_in_the_same_file():
    """By the same person within two days; each link may share another file with the one before."""
    history = [told(0, "a.py"), told(1, "a.py", "b.py"), told(2, "b.py", "README.md"), told(3, "c.py"), told(4, "b.py")]
    assert chain_lengths(history) == [1, 2, 3, 1, 4]


@pytest.mark.parametrize("later", [
    told(49, "a.py"), told(1, "b.py"), told(1, "a.py", email="bob@example.org"), told(1, "README.md"), told(1),
])  # fmt: skip
def test_what_has_nothing_to_do_with_it_begins_anew(later):
    """Too late, another file, another person, no code."""
    assert chain_lengths([told(0, "a.py", "README.md"), later]) == [1, 1]


def test_nobody_is_no_person():
    """Commits without an address are no chain."""
    assert chain_lengths([told(0, "a.py", email=""), told(1, "a.py", email="")]) == [1, 1]


@pytest.mark.parametrize(("paths", "length", "level"), [
    (["a.py"], 1, "single_file"), (["a.py", "README.md"], 1, "single_file"), (["a.py", "b.rs"], 2, "multi_file"),
    (["a.py"], CHAIN, "chain"), (["a.py", "b.py"], CHAIN + 4, "chain"),
])  # fmt: skip
def test_levels(paths, length, level):
    """One file of code, several, or the end of a chain of three."""
    assert LEVELS[level_of_change(paths, length)] == level


COMMITS = st.lists(
    st.builds(told, st.integers(0, 60), st.sampled_from(["a.py", "b.py", "c.md"]),
              email=st.sampled_from(["a@example.org", "b@example.org"])), max_size=40)  # fmt: skip


@settings(max_examples=60)
@given(history=COMMITS, start=st.integers(0, 40), end=st.integers(0, 40))
def test_where_a_commit_stands_depends_on_a_little_before_it(history, start, end):
    """Neither on what follows nor on where reading began: so that chunks, kills and new commits change nothing."""
    whole = [length >= CHAIN for length in chain_lengths(history)]
    first = max(start - CONTEXT, 0)
    part = [length >= CHAIN for length in chain_lengths(history[first:end])]
    assert part[start - first :] == whole[start:end]


def test_makings_say_it(tmp_path):
    """Mined in one chunk or in several, each commit has the same level."""
    history = History(tmp_path / "clone")
    for number in range(5):
        history.commit(f"Return {number} from the first function", {"a.py": f"def f():\n    return {number}\n"})
    history.commit("Add two more functions in files", {"b.py": "def g():\n    return 1\n", "c.py": "x = 1\n"})
    repo = look_at(history.path)
    names = tuple(commit_names(repo.path, repo.head))
    assert names_before(repo.path, names[3], 2) == list(names[1:3])
    assert names_before(repo.path, names[0], 2) == []
    whole = mine_chunk(Order(repo, Way(own=True), names)).tasks
    levels = [LEVELS[level_among(makings[0].tags)] for makings in whole.values()]
    assert levels == ["single_file", "single_file", "chain", "chain", "chain", "multi_file"]
    parts = [mine_chunk(Order(repo, Way(own=True), (name,))).tasks for name in names]
    assert {task: makings for part in parts for task, makings in part.items()} == whole


def test_tags_of_levels_are_read_back():
    """Unknown ones say nothing; of several the highest counts."""
    assert [level_among([curriculum_tag(level)]) for level in range(3)] == [0, 1, 2]
    assert level_among(["language:python", "curriculum:later"]) is None
    assert level_among([curriculum_tag(2), curriculum_tag(0)]) == 2
