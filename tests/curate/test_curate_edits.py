"""Edits and diffs: what is written is read, and applying it reproduces the change."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flywheel.core.edits import Edit, EditError, apply_edits, parse_edits, search_spans
from flywheel.core.patches import parse_patches
from flywheel.core.written_edits import edits_between, render_edits
from flywheel.curate.patches import diff_of

LINES = st.lists(
    st.sampled_from(["", "a", "b", "  return x", "}", "é\u2028z", "- x", "-- y", "++ z", "\r"]), max_size=12
)
TEXTS = st.builds(lambda lines, last: "\n".join(lines) + last, LINES, st.sampled_from(["", "\n", "\n\n"]))
ANY = st.one_of(TEXTS, st.text(max_size=60))


def seen_twice(text: str, search: str) -> bool:
    return text.find(search, text.find(search) + 1) >= 0


@given(before=TEXTS, after=TEXTS)
@example(before="a\na\na\n", after="a\nb\na\n")
@example(before="a", after="")
@example(before="", after="a")
@example(before="\n", after="\n\n")
def test_edits_between_two_texts_make_the_second_of_the_first(before, after):
    """Written, read and applied, the edits reproduce the change; each search text occurs exactly once."""
    edits = edits_between("src/x.py", before, after)
    assert parse_edits(render_edits(edits)) == edits
    assert apply_edits({"src/x.py": before}, edits)["src/x.py"] == after
    text = before
    for edit in edits:
        assert (edit.search in text and not seen_twice(text, edit.search)) or not before
        text = apply_edits({"src/x.py": text}, [edit])["src/x.py"]


@given(after=ANY)
def test_a_new_file_is_an_edit_that_searches_for_nothing(after):
    """It makes the file, and refuses to overwrite one."""
    edits = edits_between("n.py", None, after)
    assert apply_edits({}, edits) == {"n.py": after}
    with pytest.raises(EditError):
        apply_edits({"n.py": "something"}, edits)


@given(st.lists(st.builds(Edit, st.sampled_from(["a.py", "b c/d.rs"]), ANY, ANY), max_size=4))
def test_edits_are_read_as_they_were_written(edits):
    """Whatever the texts hold, reading gives back what was written."""
    assert parse_edits(f"Some words.\n{render_edits(edits)}\nMore words.") == edits


@given(st.lists(st.builds(Edit, st.just("a.py"), ANY, ANY), min_size=1, max_size=4))
def test_search_texts_are_found_in_an_answer(edits):
    """The spans hold the search texts and nothing of the tags."""
    answer = f"Words.\n{render_edits(edits)}"
    assert [answer[start:end] for start, end in search_spans(answer)] == [edit.search for edit in edits]


@pytest.mark.parametrize(
    "text",
    [
        '<edit file="a"><search>x</search></edit>',
        '<edit file="a"><search>x</search><replacement>y</replacement>',
        '<edit file=""><search>x</search><replacement>y</replacement></edit>',
        "<edit><search>x</search><replacement>y</replacement></edit>",
        '<edit file="a"><search><edit file="b"></search><replacement>y</replacement></edit>',
        "</edit>",
    ],
)
def test_what_looks_like_an_edit_and_is_none_is_refused(text):
    """Nothing half is read."""
    with pytest.raises(EditError):
        parse_edits(text)


@pytest.mark.parametrize("text", ["a</search>", "<replacement>", '<edit file="b">'])
def test_texts_that_hold_the_tags_cannot_be_written(text):
    """They are refused, not written in a way that reads differently."""
    with pytest.raises(EditError):
        render_edits([Edit("a.py", text, "")])
    with pytest.raises(EditError):
        render_edits([Edit('a".py', "x", "")])


def test_a_search_text_that_occurs_twice_or_never_is_refused():
    """Also when its places overlap."""
    for text in ("x\nx\n", "none", "xxx"):
        with pytest.raises(EditError):
            apply_edits({"a": text}, [Edit("a", "xx" if text == "xxx" else "x", "y")])
    with pytest.raises(EditError):
        apply_edits({}, [Edit("a", "x", "y")])


def test_edits_are_small_and_stand_in_the_order_of_the_file():
    """Two changes far apart are two edits, each with only the lines it needs."""
    before = "".join(f"line {number}\n" for number in range(40))
    after = before.replace("line 3\n", "line three\n").replace("line 30\n", "")
    found = edits_between("a", before, after)
    assert found[0] == Edit("a", "line 3\n".rstrip(), "line three") or "line 3\n" in found[0].search + "\n"
    assert [edit.search.count("\n") < 3 for edit in found] == [True, True]
    assert before.index(found[0].search) < before.index(found[1].search)


@given(before=TEXTS, after=TEXTS)
def test_a_unified_diff_reproduces_the_change(before, after):
    """Read and applied, the diff of two texts gives the second; the edits made of it do, too."""
    told = diff_of({"src/x.py": before}, {"src/x.py": after})
    if before == after:
        assert told == ""
        return
    (patch,) = parse_patches(told)
    assert patch.applied(before) == after
    edits = edits_between("src/x.py", before, patch.applied(before))
    assert diff_of({"src/x.py": before}, apply_edits({"src/x.py": before}, edits)) == told


@given(after=TEXTS)
def test_a_diff_of_a_new_file_makes_it(after):
    """The old side of a new file is nothing."""
    (patch,) = parse_patches(diff_of({}, {"a/b.py": after}))
    assert (patch.file, patch.makes, patch.applied(None)) == ("a/b.py", True, after)


def test_what_git_writes_is_read(tmp_path: Path):
    """A real diff of several files, one new, one without a last line break, applies."""
    before = {"a.py": "one\ntwo\nthree\n", "b.py": "x\ny"}
    after = {"a.py": "one\n2\nthree\nfour", "b.py": "x\n-- z\n", "new/c.py": "c\n"}
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@x.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    for files in (before, after):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        if files is before:
            subprocess.run([*git, "add", "."], check=True)
            subprocess.run([*git, "commit", "-qm", "first"], check=True)
    subprocess.run([*git, "add", "-N", "."], check=True)
    told = subprocess.run([*git, "diff"], check=True, capture_output=True, text=True).stdout
    assert {patch.file: patch.applied(before.get(patch.file)) for patch in parse_patches(told)} == after


def test_a_patch_without_line_numbers_is_read():
    """The format between Begin Patch and End Patch: files updated and added; moves and deletions are no edits."""
    text = (
        "*** Begin Patch\n*** Update File: a.py\n@@ def f():\n one\n-two\n+2\n@@\n-four\n+4\n+5\n"
        "*** Add File: b.py\n+x\n+\n*** End Patch"
    )
    update, add = parse_patches(text)
    assert update.applied("zero\none\ntwo\nthree\nfour\n") == "zero\none\n2\nthree\n4\n5\n"
    assert (add.file, add.applied(None)) == ("b.py", "x\n\n")
    with pytest.raises(EditError, match="fits it twice"):
        update.applied("one\ntwo\none\ntwo\nfour\n")
    for line in ("*** Delete File: a.py", "*** Update File: a.py\n*** Move to: b.py\n-x\n+y"):
        with pytest.raises(EditError):
            parse_patches(f"*** Begin Patch\n{line}\n*** End Patch")


@pytest.mark.parametrize(
    "text",
    [
        "--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n",
        "--- a/x\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n",
        "--- a/x\n+++ b/x\n@@ -1,3 +1 @@\n-a\n+b\n",
        "diff --git a/x b/y\nrename from x\nrename to y\n",
        "Binary files a/x and b/x differ\n",
    ],
)
def test_diffs_that_are_no_edits_are_refused(text):
    """Deletions, moves, bytes, and hunks that are not whole."""
    with pytest.raises(EditError):
        parse_patches(text)


@given(st.text(alphabet="@-+ 1,\nab/*#", max_size=80))
def test_reading_a_patch_never_fails_otherwise(text):
    """Any text gives patches or the one refusal."""
    for held in (text, f"*** Begin Patch\n{text}\n*** End Patch"):
        try:
            assert all(isinstance(patch.applied("a\nb\n"), str) for patch in parse_patches(held))
        except EditError:
            continue
