"""Which commits of a history are lessons."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.bootstrap.commit_filters import (
    REASONS,
    Change,
    Commit,
    count_reasons,
    is_bot,
    is_poor_message_alone,
    reason_against,
)
from flywheel.bootstrap.commit_messages import fault_of, subject_of

CODE = (Change("src/a.py", 10, 3),)


def commit(message="Add a parser for dates", changes=CODE, **values):
    told = {"author": "Ada", "email": "ada@example.org", "parents": 1}
    return Commit(message=message, changes=tuple(changes), **(told | values))


@pytest.mark.parametrize(
    ("message", "subject"),
    [
        ("fix(parser)!: Handle empty input (#123)\n\nBody", "Handle empty input"),
        ("[ABC-12] Add retries to client.", "Add retries to client"),
        ("JIRA-77: Remove dead code", "Remove dead code"),
        (":bug: Fix the off-by-one in slices", "Fix the off-by-one in slices"),
        ("\N{SPARKLES} Add sparkles to output", "Add sparkles to output"),
        ("parser: accept trailing commas", "accept trailing commas"),
        ("  Split long lines [skip ci] ", "Split long lines"),
        ("", ""),
    ],
)
def test_a_subject_is_freed_of_its_projects_customs(message, subject):
    """Prefixes, tickets, emoji and tails are no part of what was done."""
    assert subject_of(message) == subject


@pytest.mark.parametrize(
    "message",
    ["Add retries to the client", "fix: handle empty input", "Switch to a faster hash", "Clean up old temporary files",
     "Raise ValueError on bad input", "Use `pathlib` instead of os.path", "Prevent double-free of buffers",
     "Return early when nothing changed", "Remove unused imports everywhere"],
)  # fmt: skip
def test_messages_that_say_what_was_done(message):
    """An order, with what it is done to."""
    assert fault_of(message) == ""


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ("fix bug", "three words"), ("", "three words"), ("(#12)", "three words"), ("WIP on the parser", "generic"),
        ("Update the parser tests", "generic"), ("misc changes to things", "generic"),
        ("Added a new test", "imperative"), ("Fixes the broken build", "imperative"),
        ("The parser was broken", "imperative"), ("Parser handles empty input", "imperative"),
        ("Fix it properly now", "object"),
        ("Fix in the parser", "object"), ("Improve some more things", "object"), ("Add and remove tests", "object"),
    ],
)  # fmt: skip
def test_messages_that_do_not(message, fault):
    """Each with its reason."""
    assert fault in fault_of(message)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (commit(), ""),
        (commit(parents=2), "merge"),
        (commit(parents=0), ""),
        (commit(author="dependabot[bot]"), "bot"),
        (commit(email="49699333+dependabot[bot]@users.noreply.example"), "bot"),
        (commit('Revert "Add a parser for dates"'), "revert"),
        (commit(changes=()), "no file"),
        (commit(changes=[Change(f"{n}.py", 1, 0) for n in range(6)]), "more than five files"),
        (commit(changes=[Change(f"{n}.py", 1, 0) for n in range(5)]), ""),
        (commit(changes=[Change("a.py", 150, 50)]), "200 lines or more"),
        (commit(changes=[Change("a.py", 150, 49)]), ""),
        (commit("Bump version to 1.2.3"), "version bump"),
        (commit("Release 2.0.0rc1"), "version bump"),
        (commit("v1.4"), "version bump"),
        (commit("chore(deps): bump lodash from 4.17.20 to 4.17.21"), "version bump"),
        (commit("Raise the parser", changes=[Change("package.json", 1, 1), Change("yarn.lock", 5, 5)]), "version bump"),
        (commit("Run the tests twice", changes=[Change(".github/workflows/ci.yml", 3, 1)]), "CI only"),
        (commit("Explain the parser", changes=[Change("docs/a.rst", 3, 1), Change("README.md", 1, 1)]), "docs only"),
        (commit("Explain the examples better", changes=[Change("docs/example.py", 3, 1)]), ""),
        (commit("Teach the build Rust", changes=[Change("src/main.rs", 3, 1)]), "no Python, TypeScript or JavaScript"),
        (commit("Add the types again", changes=[Change("a.d.ts", 3, 1)]), "no Python, TypeScript or JavaScript"),
        (commit("Teach the build Rust", changes=[Change("src/main.rs", 3, 1)], own=True), ""),
        (commit("Teach the build Ruby", changes=[Change("docs/a.rb", 3, 1)], own=True), ""),
        (commit("Teach the build nothing", changes=[Change("a.toml", 3, 1)], own=True), "no language that is read"),
        (commit("Fix bug"), "message of fewer than three words"),
    ],
)  # fmt: skip
def test_a_commit_is_rejected_for_its_first_reason(made, reason):
    """In one fixed order, each by the name it is counted under."""
    assert reason_against(made) == reason
    assert reason == "" or reason in REASONS


def test_only_the_message_may_be_mended():
    """A commit that is a lesson but for its words can be given better ones; others cannot."""
    assert is_poor_message_alone(commit("Fix bug"))
    assert not is_poor_message_alone(commit())
    assert not is_poor_message_alone(commit("Fix bug", parents=2))


def test_people_whose_names_hold_a_bots_are_people():
    """Abbot is no bot."""
    assert [is_bot(name, "a@b.example") for name in ("Abbot", "Robot Smith", "Renovate", "GitHub Actions")] == [
        False, False, True, True,
    ]  # fmt: skip


words = st.text(max_size=60)


@settings(max_examples=150, deadline=None)
@given(
    words, words, words, st.integers(0, 3), st.lists(st.tuples(st.text(min_size=1, max_size=20), st.integers(0, 300)))
)
def test_every_commit_is_counted_once(message, author, email, parents, changes):
    """Whatever a history holds: kept or rejected for one known reason, and nothing breaks."""
    made = commit(
        message, [Change(path, lines, 0) for path, lines in changes], author=author, email=email, parents=parents
    )
    counts = count_reasons([made])
    assert sum(counts.values()) == 1
    assert set(counts) == {"kept", *REASONS}


def test_a_real_history_is_told_by_its_reasons(pytestconfig):
    """Our own commits: all of them counted; without a history there is nothing to ask."""
    root = Path(pytestconfig.rootpath)
    if not (root / ".git").exists():
        pytest.skip("this checkout has no history")
    argv = ["git", "-C", str(root), "log", "--max-count=200", "--pretty=%s%x00%an%x00%ae%x00%P"]
    rows = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    made = [commit(s, author=a, email=e, parents=len(p.split())) for s, a, e, p in (row.split("\0") for row in rows)]
    assert sum(count_reasons(made).values()) == len(rows)
