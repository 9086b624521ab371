"""Orders for real code in languages that are scarce."""

from pathlib import Path

import pytest
from histories_house import History
from hypothesis import given, settings
from hypothesis import strategies as st
from judgement_house import ALL, drive, line, material

from flywheel.bootstrap.chunk_miners import Way
from flywheel.bootstrap.code_order_tasks import ORDERS, _work, languages_of
from flywheel.bootstrap.code_orders import (
    GIVEN_AWAY,
    MARKED,
    NOT_PARSED,
    OTHER_HEAD,
    TOO_FAR,
    UNCHANGED,
    asked_and_answered,
    kind_of,
    reject,
)
from flywheel.bootstrap.formed_answers import NO_JUDGE, SCORED_LOW
from flywheel.bootstrap.poor_commits import clone_mark
from flywheel.bootstrap.real_codes import SCARCE, functions_of
from flywheel.bootstrap.repos import Repo, look_at
from flywheel.core.edits import EditError, apply_edits, parse_edits
from flywheel.core.errors import MisuseError
from flywheel.core.labels import judge
from flywheel.core.outcomes import Label
from flywheel.core.provenances import provenance_of

RUST = """use std::fmt;

impl Row {
    /// The cells behind the first one.
    pub fn rest(&self, skip: usize) -> Vec<String> {
        let mut cells = Vec::new();
        for cell in self.cells.iter().skip(skip + 1) {
            cells.push(cell.clone());
        }
        cells
    }

    pub fn len(&self) -> usize { self.cells.len() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_skips() {
        let row = Row::default();
        let rest = row.rest(0);
        assert!(rest.is_empty());
    }
}
"""
RUBY = """module Rows
  class Row
    def rest(skip)
      cells = @cells.drop(skip + 1)
      cells.reject(&:empty?)
    end

    def self.test_it
      1
      2
      3
    end
  end
end
"""
SWIFT = """struct Row {
    let cells: [String]

    func rest(_ skip: Int) -> [String] {
        let kept = cells.dropFirst(skip + 1)
        return kept.filter { !$0.isEmpty }
    }
}
"""
FILES = {"src/row.rs": RUST, "lib/row.rb": RUBY, "Sources/Row.swift": SWIFT}
REPO = Repo(Path(), "org/rows", "a" * 40, 2000, "MIT", "", "")
HIGH = {"done": 9, "clear": 9, "natural": 8, "reason": "So it is."}
TASK = "Give the cells of a row behind those that are skipped."


def code(path="src/row.rs", text=None):
    (found,) = functions_of(REPO, path, text or FILES[path], own=False)
    return found


@pytest.mark.parametrize("path", FILES)
def test_real_functions_are_found(path):
    """Of a middle size, with their lines as they stand there; no tests and no one-liners."""
    found = code(path)
    assert found.symbol.short == "rest"
    assert found.code in FILES[path]
    assert not found.alone.startswith(" ")
    assert found.with_other(found.alone) == FILES[path]


@pytest.mark.parametrize("path", FILES)
def test_a_fault_is_taken_out_by_edits(path):
    """The answer makes the real file of the one that is shown, byte for byte."""
    found = code(path)
    start = found.alone.replace("skip + 1", "skip")
    assert reject(found, TASK, start, "fix") == ""
    asked, answer = asked_and_answered(found, TASK, start)
    before = found.with_other(start)
    assert before in asked
    assert before != FILES[path]
    assert apply_edits({path: before}, parse_edits(answer))[path] == FILES[path]


def test_what_is_to_be_made_is_asked_by_its_head():
    """The order, the file and the head; the answer is the code, fenced."""
    found = code()
    asked, answer = asked_and_answered(found, TASK, None)
    assert asked == f"Task: {TASK}\n\nFile: src/row.rs\n{found.symbol.signature}\n\nWrite `Row.rest`."
    assert answer == f"```rust\n{found.alone}\n```"


@pytest.mark.parametrize(("change", "kind", "reason"), [
    (("", ""), "fix", UNCHANGED),
    (("cells\n", "cells   \n"), "fix", UNCHANGED),
    (("skip + 1", "skip +"), "fix", NOT_PARSED),
    (("pub fn rest", "pub fn remains"), "fix", OTHER_HEAD),
    (("skip: usize", "skip: u8"), "fix", OTHER_HEAD),
    (("skip + 1", "skip /* BUG */"), "fix", MARKED),
    (("    cells\n}", "    cells\n}\n\nfn more() {}"), "fix", OTHER_HEAD),
])  # fmt: skip
def test_what_stood_there_before_is_the_same_function_with_a_fault(change, kind, reason):
    """It parses, has the same head, differs, and no comment tells where to look."""
    found = code()
    assert reject(found, TASK, found.alone.replace(*change), kind) == reason


def test_another_function_is_no_fault():
    """Only a clumsier one may be quite another."""
    found = code()
    start = "pub fn rest(&self, skip: usize) -> Vec<String> {\n    todo(a, b, c, d, e, f, g, h);\n    panic()\n}"
    start = start.replace("todo", "call")
    assert reject(found, TASK, start, "fix") == TOO_FAR
    assert reject(found, TASK, start, "refactor") == ""


def test_an_order_does_not_hold_the_answer():
    """No line of the body stands in it; the head may."""
    found = code()
    assert (
        reject(found, "Write it so: for cell in self.cells.iter().skip(skip + 1) { and so on", None, "implement")
        == GIVEN_AWAY
    )
    assert reject(found, f"Write {found.symbol.signature} for rows.", None, "implement") == ""


@settings(max_examples=40)
@given(start=st.text(alphabet="fn rest(){}\n &self;,+1", max_size=60), task=st.text(min_size=1, max_size=40))
def test_whatever_is_put_there_is_told_or_refused(start, task):
    """What passes parses and is undone by its edits; nothing raises."""
    found = code("lib/row.rb")
    if reject(found, task, start, "refactor"):
        return
    told = asked_and_answered(found, task, start)
    if told is not None:
        assert apply_edits({found.path: found.with_other(start)}, parse_edits(told[1]))[found.path] == RUBY


def test_text_with_the_tags_of_edits_is_no_order():
    """What edits cannot say is not told."""
    text = RUBY.replace("skip + 1", 'skip + "<edit>".size')
    found = code("lib/row.rb", text)
    assert asked_and_answered(found, TASK, found.alone.replace("reject", "select")) is not None
    assert asked_and_answered(found, TASK, found.alone.replace("<edit>", "<search>")) is None
    with pytest.raises(EditError):
        parse_edits("<edit>")


def spoken(kind, found):
    return {"task": TASK} if kind == "implement" else {"task": TASK, "start": found.alone.replace("skip + 1", "skip")}


@pytest.mark.parametrize("path", FILES)
def test_a_judged_order_is_learned_with_real_code(path, home):
    """Positive, of its language, with the clone's licence, and told who ordered and who judged."""
    found = code(path)
    with material(home, line(tags=(f"language:{found.language}",))) as given:
        end = drive(_work(given, found), {"coder": [spoken(kind_of(found), found)], "judge": [HIGH]})
    (made,) = end.makings
    assert (made.recipe, made.origin, made.licence) == ("teach", "synthetic", "MIT")
    assert made.tags == (f"language:{found.language}",)
    assert judge(made.signals).label is Label.POSITIVE
    made_of = provenance_of({**made.about, "recipe": made.recipe, "licence": made.licence})
    assert (made_of.mined, made_of.lines, made_of.private) == (True, REPO.lines, False)
    assert made.about["order"] == {"teacher": "large", "model": "large-1", "judge": "judge", "score": 8}
    assert TASK in made.messages[0].content


def test_without_a_high_score_there_is_no_order(home):
    """And without a judge nothing is asked."""
    found = code()
    with material(home, line(tags=("language:rust",))) as given:
        told = {"coder": [spoken(kind_of(found), found)], "judge": [{**HIGH, "natural": 5}]}
        assert drive(_work(given, found), told).reason == SCORED_LOW
        asked = []
        assert drive(_work(given._replace(roles=ALL - {"judge"}), found), {}, asked).reason == NO_JUDGE
        assert not asked


def scarce(home, *languages, files=()):
    return material(home, line(tags=tuple(f"language:{one}" for one in languages)), files=files)


def test_clones_are_looked_through(home, tmp_path):
    """Their head is read, in the languages of the line alone; files of tests are left out."""
    history = History(tmp_path / "clone")
    history.commit("Add rows in three languages", {**FILES, "tests/row.rs": RUST, "src/row_test.rb": RUBY})
    repo = look_at(history.path)
    with scarce(home, "rust", "python") as given:
        assert list(ORDERS.subjects(given)) == []
        given.shelf.put({}, {"mine/clone": {"clone": clone_mark(repo, Way(own=True))}})
        found = list(ORDERS.subjects(given))
        assert [one.key for one in found] == ["clone/src/row.rs:Row.rest"]
        assert [one.digest for one in ORDERS.subjects(given._replace(files=(history.path,)))] == [found[0].digest]
    with scarce(home, *SCARCE) as given:
        assert len(list(ORDERS.subjects(given))) == 3


def test_somebody_elses_clone_is_held_to_the_limits_of_mining(home, tmp_path):
    """A clone that was not mined as one's own is foreign: of a middle size, and of no kind that is left out."""
    history = History(tmp_path / "clone")
    history.commit("Add rows in three languages", FILES)
    with scarce(home, "rust", files=(history.path,)) as given, pytest.raises(MisuseError, match="lines of code"):
        list(ORDERS.subjects(given))


def test_lines_of_other_languages_have_no_orders():
    """They have histories of their own."""
    assert languages_of(line(tags=("language:ruby",))) == ("ruby",)
    assert not ORDERS.suits(line(tags=("language:python",)))
