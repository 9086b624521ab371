"""How fail-fast Python code is."""

import json
import sys
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.bootstrap.handler_counts import Counts, count
from flywheel.bootstrap.python_files import is_test, python_files
from flywheel.bootstrap.score_reports import score_files
from flywheel.bootstrap.scores import SCALES, score, values_of
from flywheel.cli.main import main
from flywheel.core.errors import MisuseError

STRONG = (
    dedent('''
    """A module."""

    class OddError(Exception):
        pass

    def read(path, table):
        """Read it."""
        assert path, "a path"
        try:
            row = table["key"]
        except KeyError as error:
            raise OddError(path) from error
        try:
            return int(row["number"])
        except (TypeError, ValueError) as error:
            raise OddError(row) from error
''')
    * 4
)
DEFENSIVE = (
    dedent("""
    def read(path, table):
        # a comment
        try:
            row = table.get("key")
        except:
            pass
        try:
            return int(row.get("number", 0))
        except Exception:
            return None
        try:
            path.open()
        except Exception as error:
            print(error)
""")
    * 4
)


def test_the_weights_are_the_published_ones():
    """Eight metrics that add up to 100 points."""
    assert [scale.points for scale in SCALES.values()] == [20, 15, 15, 15, 10, 10, 10, 5]


def test_everything_is_counted():
    """Each of the things that the metrics speak of, once."""
    assert count(STRONG)._replace(lines=0) == Counts(
        handlers=8, specific=8, subscripts=8, asserts=4, raises=8, raises_in_handlers=8, raises_from=8
    )
    assert count(DEFENSIVE)._replace(lines=0) == Counts(handlers=12, bare=4, blind=12, passing=4, gets=8)
    assert count(STRONG).lines == 48
    assert count(DEFENSIVE).lines == 52


@pytest.mark.parametrize(
    ("body", "field", "times"),
    [
        ("try:\n  a()\nexcept Exception:\n  raise", "blind", 0),
        ("try:\n  a()\nexcept (ValueError, Exception):\n  b()", "blind", 1),
        ("try:\n  a()\nexcept builtins.BaseException:\n  def f():\n    raise ValueError", "blind", 1),
        ("try:\n  a()\nexcept Exception:\n  try:\n    b()\n  except KeyError:\n    raise", "blind", 1),
        ("try:\n  a()\nexcept* OSError:\n  ...", "passing", 1),
        ("for x in y:\n  try:\n    a()\n  except OSError:\n    continue", "passing", 1),
        ("try:\n  a()\nexcept OSError:\n  raise", "raises_in_handlers", 0),
        ("try:\n  a()\nexcept OSError as e:\n  raise ValueError from None", "raises_from", 1),
        ('d["k"] = 1\ndel d["k"]\nd[0]\nd[k]', "subscripts", 0),
        ('d.get("k")\nd.get("k", 1)\nd.get(k)\nget("k")\nd.get()', "gets", 2),
        ('"""Docs."""\n\n# comment\nx = (\n    1,\n    2,\n)', "lines", 4),
    ],
)  # fmt: skip
def test_what_counts_and_what_does_not(body, field, times):
    """The edges of each count."""
    assert getattr(count(body), field) == times


def test_code_that_fails_fast_is_strong_and_code_that_hides_is_defensive():
    """The two ends, and what lies beneath the least of lines."""
    assert (score(count(STRONG)).points, score(count(STRONG)).grade) == (100.0, "strong")
    assert score(count(DEFENSIVE)).grade == "defensive"
    assert score(count(DEFENSIVE)).points < 10
    assert score(count("x = 1")).grade == "too small"


numbers = st.integers(0, 40)


@given(st.lists(numbers, min_size=9, max_size=9), st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_worse_never_earns_more(found, more):
    """One handler more that hides is never a gain, one that names its error never a loss; 0 to 100 always."""
    bare, blind, specific, passing, subscripts, gets, asserts, raises, fresh = found
    counts = Counts(
        200, bare + blind + specific, bare, bare + blind, passing, specific, subscripts, gets, asserts, raises, fresh
    )
    before = score(counts).points
    assert 0 <= before <= 100
    hides = counts.plus(Counts(handlers=more, bare=more, blind=more))
    assert score(hides).points <= before
    names = counts.plus(Counts(handlers=more, specific=more))
    assert score(names).points >= before
    assert all(value is None or value >= 0 for value in values_of(counts).values())


@given(st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_no_text_breaks_a_report(text):
    """What is no Python is left out with a reason."""
    from flywheel.bootstrap.python_files import Found

    report = score_files([Found("a.py", text), Found("b.py", STRONG)])
    assert len(report.files) + len(report.unread) == 2


def test_only_what_people_wrote_is_scored(tmp_path):
    """Dependencies, hidden folders and tests are left out, what cannot be read is named."""
    for name in ("a.py", "pkg/b.py", "tests/test_a.py", "pkg/b_test.py", ".git/c.py", "venv/lib/d.py", "e.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(STRONG)
    (tmp_path / "latin.py").write_bytes(b"# coding: utf-8\nx = '\xff'\n")
    (tmp_path / "odd.py").write_bytes(b"# coding: klingon\n")
    found = {one.name: one.problem for one in python_files([tmp_path])}
    assert set(found) == {"a.py", "pkg/b.py", "latin.py", "odd.py"}
    assert [bool(found[name]) for name in ("a.py", "latin.py", "odd.py")] == [False, True, True]
    assert len(list(python_files([tmp_path], tests=True))) == 6
    assert (is_test("tests/helpers.py"), is_test("latest.py")) == (True, False)
    with pytest.raises(MisuseError, match="there is no"):
        list(python_files([tmp_path / "none"]))


def test_the_command_says_it_to_people_and_programs(tmp_path, monkeypatch, capsys):
    """Words, JSON, a bar to fail under, and one line when there is nothing to score."""
    (tmp_path / "good.py").write_text(STRONG)
    (tmp_path / "bad.py").write_text(DEFENSIVE)

    def say(*arguments):
        monkeypatch.setattr(sys, "argv", ["flywheel", "bootstrap", "score", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), capsys.readouterr()

    status, said = say(str(tmp_path), "--json")
    told = json.loads(said.out)
    assert (status, [row["file"] for row in told["files"]]) == (0, ["bad.py", "good.py"])
    assert told["counts"]["bare"] == 4
    assert sum(metric["of"] for metric in told["metrics"].values()) == 100
    status, said = say(str(tmp_path / "bad.py"), "--fail-under", "50")
    assert status == 1
    assert "defensive" in said.out
    (tmp_path / "empty").mkdir()
    status, said = say(str(tmp_path / "empty"))
    assert (status, len(said.err.strip().splitlines())) == (2, 1)
