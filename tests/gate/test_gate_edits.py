import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.core.edits import EditError
from flywheel.core.written_edits import edits_between, render_edits
from flywheel.curate.patches import diff_of
from flywheel.gate.metrics.edit import edited, is_test
from flywheel.gate.metrics.registry import EXECUTED
from flywheel.sandbox.programs import Call, Ending, Program, Run

METRIC = EXECUTED["edit"]
ADD = "def add(a, b):\n    return a - b\n\n\ndef twice(a):\n    return a - b\n"
FILES = {"src/add.py": ADD, "tests/test_add.py": "from src.add import add\nassert add(1, 1) == 2\n"}
EXPECTED = {"files": FILES, "command": ["python", "tests/test_add.py"]}
RIGHT = ADD.replace("a - b", "a + b", 1)


def block(search, replacement, file="src/add.py\n"):
    return f"{file}<<<<<<< SEARCH\n{search}=======\n{replacement}>>>>>>> REPLACE\n"


BLOCK = block("def add(a, b):\n    return a - b\n", "def add(a, b):\n    return a + b\n")
BLANK = " "
DIFF = f"""--- a/src/add.py
+++ b/src/add.py
@@ -1,3 +1,3 @@
 def add(a, b):
-    return a - b
+    return a + b
{BLANK}
"""


@pytest.mark.parametrize("answer", [
    BLOCK,
    f"```python\n{BLOCK}```",
    "src/add.py\n```python\n" + BLOCK.removeprefix("src/add.py\n") + "```",
    f"I change the sign.\n\n**`./{BLOCK.replace('.py', '.py`**', 1)}",
    f"<think>{BLOCK.replace('+', '*')}</think>{BLOCK}",
    DIFF,
    f"```diff\n{DIFF}```",
    f"```diff\ndiff --git a/src/add.py b/src/add.py\n{DIFF}```\nDone.",
    ("*** Begin Patch\n*** Update File: src/add.py\n def add(a, b):\n-    return a - b\n+    return a + b\n"
    "*** End Patch"),
    render_edits(edits_between("src/add.py", ADD, RIGHT)),
])  # fmt: skip
def test_every_form_of_edit_is_applied(answer):
    """Conflict-marked blocks, unified diffs, patches and tagged edits all make the same of the file."""
    program = METRIC.program(EXPECTED, answer)
    assert isinstance(program, Program)
    assert program.files == {**FILES, "src/add.py": RIGHT}
    assert program.command == ("python", "tests/test_add.py")
    assert METRIC.judge(EXPECTED, [Run(ending=Ending.FINISHED)]).parts == {"applies": 1, "tests": 1}
    failed = METRIC.judge(EXPECTED, [Run(ending=Ending.RAISED, detail="AssertionError")])
    assert (failed.value, failed.parts, failed.unusable) == (0, {"applies": 1, "tests": 0}, False)


@pytest.mark.parametrize(("answer", "why"), [
    ("I would change the sign.", "no edit was found"),
    (block("    return a - b\n", "    return a + b\n"), "searched lines stand 2 times in src/add.py"),
    (block("    return a * b\n", "    return a + b\n"), "searched lines stand 0 times in src/add.py"),
    (block("def add(a, b):\n", "def add(a, b):\n"), "it changes nothing"),
    (block("x\n", "y\n", "gone.py\n"), "gone.py is not there"),
    (block("x\n", "y\n", "no file is named here\n"), "a block does not say which file it is for"),
    (block("", "x\n"), "src/add.py is there already, and its block searches for nothing"),
    (BLOCK.replace(">>>>>>> REPLACE", ""), "a block is begun and not ended"),
    (block("", "x\n", "../../up.py\n"), "'../../up.py' is no path below the folder"),
    (block("", "x\n", "/etc/up.py\n"), "'/etc/up.py' is no path below the folder"),
    (block("assert add(1, 1) == 2\n", "", "tests/test_add.py\n"), "it changes tests/test_add.py, which tests it"),
    (block("", "import os\n", "conftest.py\n"), "it changes conftest.py, which tests it"),
    (DIFF.replace("-    return a - b", "-    return a * b"), "a patch does not fit its file, or fits it twice"),
    (DIFF.replace("@@ -1,3", "@@ -1,9"), "a hunk is shorter than its head says"),
    ('<edit file="src/add.py">\n<search>\nx\n</search>\n', "an edit is not closed"),
])  # fmt: skip
def test_an_edit_that_does_not_apply_is_unusable_and_says_why(answer, why):
    """Nothing is guessed: it fits or it does not, and what judges may not be edited."""
    score = METRIC.program(EXPECTED, answer)
    assert (score.value, score.unusable, score.detail) == (0, True, f"does not apply: {why}")
    assert score.parts == {"applies": 0, "tests": 0}


def test_new_files_and_several_blocks_apply_in_order():
    """A block that searches for nothing makes a file; a second block needs no name; later ones see earlier ones."""
    answer = block("", "X = 1\n", "src/x.py\n") + block("X = 1\n", "X = 2\n", "\n")
    assert edited(FILES, answer)["src/x.py"] == "X = 2\n"
    assert edited({"one.py": "a\nb"}, block("b\n", "c\n", ""))["one.py"] == "a\nc"
    with pytest.raises(EditError, match="does not say"):
        edited(FILES, block("def add(a, b):\n", "x\n", ""))


def test_calls_judge_the_edited_function():
    """Where calls are the tests, the file that defines the entry is the code, and all files lie beside it."""
    expected = {"files": {"src/add.py": ADD}, "entry": "add", "tests": [{"args": [1, 2], "returns": 3}]}
    program = METRIC.program(expected, BLOCK)
    assert (program.code, program.entry, program.calls) == (RIGHT, "add", (Call(args=(1, 2)),))
    assert METRIC.judge(expected, [Run(ending=Ending.FINISHED, value="3")]).value == 1
    wrong = METRIC.judge(expected, [Run(ending=Ending.FINISHED, value="-1")])
    assert (wrong.value, wrong.detail) == (0, "test 1: returned -1, expected 3")


@pytest.mark.parametrize("path", ["test_a.py", "a_test.py", "a.test.ts", "a.spec.js", "tests/a.py", "x/conftest.py"])
def test_what_tests_is_known_by_its_name(path):
    """Files that judge the others may not be edited by what is judged."""
    assert is_test(path)
    assert not is_test("src/contest.py")


LINES = st.lists(st.sampled_from(["a", "b", "  c", "d = 1", "", "="]), min_size=1, max_size=8)


@settings(deadline=None)
@given(LINES, LINES)
def test_what_diffs_and_edits_say_is_what_becomes_of_the_file(before, after):
    """A diff between two texts, and edits between them, lead from the one to the other."""
    old, new = ("".join(f"{line}\n" for line in lines) for lines in (before, after))
    if old != new:
        assert edited({"f.py": old}, diff_of({"f.py": old}, {"f.py": new}))["f.py"] == new
        assert edited({"f.py": old}, render_edits(edits_between("f.py", old, new)))["f.py"] == new
        whole = block(old, new, "f.py\n")
        if old.strip():
            assert edited({"f.py": old}, whole)["f.py"] == new
