"""LintSeq: code as the edits that write it."""

import json
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.bootstrap.lint_sequences import NotSequencedError, apply, as_diff, lint_sequence, replay
from flywheel.bootstrap.linters import faults
from flywheel.bootstrap.python_files import python_files
from flywheel.cli.main import main

FILE = dedent('''
    """A module."""

    import math
    from functools import cache

    RATE = 2  # a comment


    @cache
    def area(radius):
        """Return it."""
        if radius < 0:
            raise ValueError(radius)
        else:
            doubled = radius * RATE
        return math.pi * doubled ** 2


    class Shape:
        sizes = [
            1,
            2,
        ]

        def total(self):
            try:
                return sum(area(size) for size in self.sizes)
            except ValueError:
                return 0
            finally:
                print(
                    """done
    not indented
    """
                )


    if __name__ == "__main__":
        print(Shape().total())
''')


@pytest.mark.parametrize("seed", range(8))
def test_every_state_passes_the_linter_and_the_last_is_the_file(seed):
    """Whatever the dice say: the edits write the file byte for byte, and nothing on the way is broken."""
    edits = lint_sequence(FILE, seed, most=1000)
    texts = replay(edits)
    assert texts[-1] == FILE
    assert len(edits) > 5
    assert [faults(text) for text in texts] == [[]] * len(texts)
    assert all(insertion.lines for edit in edits for insertion in edit)


def test_the_same_seed_gives_the_same_edits():
    """And another one others."""
    assert lint_sequence(FILE, 1) == lint_sequence(FILE, 1)
    assert len({lint_sequence(FILE, seed) for seed in range(10)}) > 5


def test_few_edits_are_asked_for():
    """Then each of them is larger, and the file is the same."""
    edits = lint_sequence(FILE, 3, most=4)
    assert len(edits) == 4
    assert replay(edits)[-1] == FILE
    assert [faults(text) for text in replay(edits)] == [[]] * 4


def test_an_edit_reads_as_a_diff():
    """Only additions, with where they stand before and after."""
    edits = lint_sequence("a = 1\nb = a\nc = 3\n", 0, most=1000)
    state = []
    for edit in edits:
        state = apply(state, edit)
        assert as_diff(edit).count("@@ -") == len(edit)
    assert "\n".join(state) == "a = 1\nb = a\nc = 3\n"
    assert (
        as_diff(((1, ("x = 2",)), (3, ("y = 3", "z = 4"))))
        == "@@ -1,0 +2,1 @@\n+x = 2\n@@ -3,0 +5,2 @@\n+y = 3\n+z = 4"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [("def f(:\n", "linter"), ("print(nowhere)\n", "linter"), ("x = 1\r\n", "line ends"), ("return 1", "linter"),
     ("x = 1\n" * 2500, "longer"), ("x = " + "(" * 500 + ")" * 500, "linter|deep"), ("x = '\0'", "line ends")],
)  # fmt: skip
def test_what_gives_no_sequence_says_why(text, told):
    """A file that does not pass as it is teaches nobody how to pass."""
    with pytest.raises(NotSequencedError, match=told):
        lint_sequence(text, 0)


def test_our_own_files_come_back(pytestconfig):
    """Real code: every file of a room, byte for byte, every state clean."""
    room = Path(pytestconfig.rootpath) / "flywheel" / "policy"
    for file in list(python_files([room]))[:12]:
        texts = replay(lint_sequence(file.text, 7, most=6))
        assert texts[-1:] == ([file.text] if file.text else [])
        assert not any(map(faults, texts)), file.name


names = st.sampled_from("abcd")
expressions = st.one_of(st.integers(0, 9).map(str), names, st.tuples(names, names).map(" + ".join))
simple = st.one_of(
    st.tuples(names, expressions).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    st.just("pass"),
    st.just("# a comment"),
    st.just(""),
    names.map(lambda name: f"import {name}"),
)
blocks = st.recursive(
    st.lists(simple, min_size=1, max_size=4),
    lambda inner: st.tuples(
        st.sampled_from(["if 1:", "def f(a, b):", "for a in []:", "while 0:", "class C:"]), inner
    ).map(lambda pair: [pair[0], *("    " + line if line else line for line in ["pass", *pair[1]])]),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(st.lists(blocks, max_size=4), st.integers(0, 1000), st.integers(1, 30))
def test_any_program_comes_back(pieces, seed, most):
    """Made-up programs of all shapes: refused because they do not pass, or written again without a bad state."""
    text = "\n".join(line for piece in pieces for line in piece)
    try:
        edits = lint_sequence(text, seed, most)
    except NotSequencedError:
        assert faults(text)
        return
    texts = replay(edits)
    assert len(edits) <= most
    assert "".join(texts[-1:]) == text
    assert not any(map(faults, texts))


def test_the_command_writes_rows(tmp_path, monkeypatch, capsys):
    """A row a file, what gives none is said with its reason, and other files change nothing of a file's edits."""
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "good.py").write_text(FILE)
    (folder / "bad.py").write_text("print(nowhere)\n")

    def say(*arguments):
        monkeypatch.setattr(sys, "argv", ["flywheel", "bootstrap", "lintseq", str(folder), *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), json.loads(capsys.readouterr().out)

    status, told = say("--seed", "5", "--output", str(tmp_path / "rows.jsonl"), "--json")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert (status, told["files"], told["left_out"], [row["file"] for row in rows]) == (0, 1, 1, ["good.py"])
    assert told["reasons"] == [{"file": "bad.py", "reason": "does not pass the linter as it is"}]
    (folder / "another.py").write_text("x = 1\n")
    assert say("--seed", "5", "--json")[1]["rows"][1] == rows[0]
    assert say("--seed", "6", "--json")[1]["rows"][1] != rows[0]
