"""A commit told as examples."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.bootstrap.derivations import derive, edits_of
from flywheel.bootstrap.mined_commits import FileChange, MinedCommit
from flywheel.bootstrap.relevances import changed_lines
from flywheel.core.edits import apply_edits, parse_edits

CORE = "from .util import help_it\n\n\ndef run(x):\n    return help_it(x)\n\n\ndef other(y):\n    return y\n"
TREE = {
    "pkg/__init__.py": "",
    "pkg/core.py": CORE,
    "pkg/util.py": "def help_it(x):\n    return x\n\n\ndef unused(z):\n    return z\n",
    "pkg/far.py": "def far():\n    return 0\n",
    "docs/a.md": "words",
}


def commit(*changes, message="Return twice the value from run"):
    return MinedCommit("org/pkg", "c" * 40, datetime(2026, 1, 1, tzinfo=UTC), message, changes, tuple(TREE), TREE.get)


def changed(path, after):
    return FileChange(path if path in TREE else None, path, TREE.get(path), after)


RUN = changed("pkg/core.py", CORE.replace("return help_it(x)", "return 2 * help_it(x)"))


def told(makings, call_type):
    return [making for making in makings if making.call_type == call_type]


def test_every_stage_gets_its_example():
    """Analysis, scope, precision, plan and edits, each with its provenance and the same evidence."""
    makings = derive(commit(RUN))
    assert {making.call_type for making in makings} == {
        "task_analysis", "scope", "precision", "execute_plan", "execute_implement", "execute_function_implement",
    }  # fmt: skip
    assert len({making.key for making in makings}) == len(makings)
    for making in makings:
        assert making.about == {"repo": "org/pkg", "commit": "c" * 40, "foreign": True}
        assert (making.origin, making.tags) == ("synthetic", ("language:python", "curriculum:single_file"))
        assert making.signals[0].name == ("replaced_by_commit" if making.key.endswith("/before") else "commit_kept")
        assert "Return twice the value from run" in making.messages[0].content


def test_the_edits_make_the_new_tree():
    """Byte for byte, applied to the old one."""
    (making,) = told(derive(commit(RUN, changed("pkg/new.py", "n = 1\n"))), "execute_implement")
    after = apply_edits({"pkg/core.py": CORE}, parse_edits(making.response))
    assert after == {"pkg/core.py": RUN.after, "pkg/new.py": "n = 1\n"}
    assert CORE in making.messages[0].content


def test_files_are_changed_leaned_on_or_neither():
    """Yes for what the change touches or imports, no for the rest, which are as many at most."""
    scopes = {making.key.partition("/")[2]: making for making in told(derive(commit(RUN)), "scope")}
    assert {path: making.response for path, making in scopes.items()} == {
        "pkg/core.py": "yes", "pkg/util.py": "yes", "pkg/__init__.py": "no", "pkg/far.py": "no",
    }  # fmt: skip
    assert (scopes["pkg/core.py"].weight, scopes["pkg/util.py"].weight) == (1.0, 0.5)


def test_symbols_are_changed_used_or_neither():
    """The innermost symbol on whose lines something changed, what it uses, and others beside them."""
    answers = {making.key.split(":")[1]: making.response for making in told(derive(commit(RUN)), "precision")}
    assert answers == {"run": "yes", "help_it": "yes", "other": "no", "unused": "no"}


def test_a_plan_begins_with_what_others_lean_on():
    """Parts in the order of their dependencies, each named."""
    util = changed("pkg/util.py", "def help_it(x):\n    return -x\n")
    (making,) = told(derive(commit(RUN, util, changed("pkg/new.py", "from pkg.core import run\n"))), "execute_plan")
    parts = json.loads(making.response)["parts"]
    assert [(part["affected_files"], part["depends_on"]) for part in parts] == [
        (["pkg/util.py"], []), (["pkg/core.py"], ["p1"]), (["pkg/new.py"], ["p2"]),
    ]  # fmt: skip
    assert parts[2]["description"] == "Add pkg/new.py"


def test_a_circle_of_imports_is_broken():
    """No part waits for one that comes later."""
    circle = [changed("pkg/a1.py", "import pkg.a2\n"), changed("pkg/a2.py", "import pkg.a1\n")]
    (making,) = told(derive(commit(RUN, *circle)), "execute_plan")
    for place, part in enumerate(json.loads(making.response)["parts"], 1):
        assert all(int(other[1:]) < place for other in part["depends_on"])


@pytest.mark.parametrize(
    "changes",
    [(FileChange("pkg/far.py", None, TREE["pkg/far.py"], None),),
     (FileChange("pkg/far.py", "pkg/near.py", TREE["pkg/far.py"], "x = 1\n"),),
     (changed("pkg/core.py", CORE),), (changed("pkg/core.py", "</edit>"),)],
)  # fmt: skip
def test_what_edits_cannot_say_teaches_nothing(changes):
    """Deleted and moved files, no change at all, and the tags of edits themselves."""
    assert derive(commit(*changes)) == []


texts = st.text(st.sampled_from("ab \n\t\r{}é\x0c"), max_size=60)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_edits_always_make_the_new_files(pairs):
    """Whatever was changed into whatever: the edits make it exactly; lines that changed are lines of the old."""
    changes = [FileChange(f"f{n}.py", f"f{n}.py", before, after) for n, (before, after) in enumerate(pairs)]
    edits = edits_of(changes)
    before = {change.path: change.before for change in changes}
    if edits:
        assert apply_edits(before, edits) == {change.path: change.after for change in changes}
    else:
        assert all(change.before == change.after for change in changes)
    for old, new in pairs:
        assert all(1 <= line <= len(old.split("\n")) for line in changed_lines(old, new))
