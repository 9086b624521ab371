import json

import pytest
from gate_house import freeze_dataset, publish_suite, rows

from flywheel.core.errors import CorruptError
from flywheel.core.outcomes import Message
from flywheel.gate.metrics.tool_call import SEVERAL
from flywheel.gate.suites import UNKNOWN, HeldOutRow, build, publish, read_held_out, read_manifest, read_problems


def test_a_suite_keeps_the_question_and_expects_the_held_out_answer():
    """Every held-out row becomes a problem with its calls, tool, group and the key that keeps it out of datasets."""
    made, known = rows(4, groups=3)
    built = build(made, "tool_call", known)
    first = built.problems[0]
    assert first.messages == ({"role": "user", "content": "read_file src/0.py"},)
    assert first.expected == [{"name": "read_file", "arguments": {"path": "src/0.py"}}]
    assert (first.category, first.group, first.prompt_key) == ("read_file", "repo-0", "key-0")
    assert (built.format, built.left_out) == ("json", {})


def test_what_cannot_be_judged_is_left_out_and_counted():
    """Rows without a call and repeated questions are no problems; a row of unknown origin joins one group."""
    made, known = rows(3)
    prose = HeldOutRow("prose", (made[0].messages[0], Message(role="assistant", content="Done.")))
    stray = HeldOutRow("stray", (Message(role="user", content="new"), made[0].messages[-1]))
    again = HeldOutRow("again", stray.messages)
    built = build([*made, prose, stray, again], "tool_call", known)
    assert built.left_out == {"no tool call": 1, "question asked before": 1}
    assert built.problems[-1].group == UNKNOWN


def test_the_exact_metric_takes_the_example_s_category():
    """Where the metric has no category of its own, the example's stands."""
    made, known = rows(2)
    assert {problem.category for problem in build(made, "exact", known).problems} == {"files"}
    assert SEVERAL != "files"


def test_a_published_suite_reads_back_and_never_changes(tmp_path):
    """What was built is what is read, the same rows give the same hash, and publishing twice changes nothing."""
    manifest = publish_suite(tmp_path)
    before = (tmp_path / manifest.hash / "problems.jsonl").read_bytes()
    assert publish_suite(tmp_path) == manifest
    assert (tmp_path / manifest.hash / "problems.jsonl").read_bytes() == before
    assert read_manifest(tmp_path / manifest.hash) == manifest
    assert tuple(read_problems(tmp_path / manifest.hash)) == build(rows(12)[0], "tool_call", rows(12)[1]).problems
    assert [path.name for path in tmp_path.iterdir()] == [manifest.hash]


@pytest.mark.parametrize("harm", ["problems.jsonl", "manifest.json", "gone"])
def test_a_damaged_suite_is_named_not_used(tmp_path, harm):
    """A suite whose bytes are not what was published measures nobody."""
    folder = tmp_path / publish_suite(tmp_path).hash
    if harm == "gone":
        (folder / "problems.jsonl").unlink()
    else:
        (folder / harm).write_bytes((folder / harm).read_bytes()[:-20])
    with pytest.raises(CorruptError, match=folder.name):
        read_problems(folder)


def test_odd_characters_survive(tmp_path):
    """Half characters, line separators and huge numbers in an expected call read back as they were."""
    odd = '<tool_call>{"name": "say", "arguments": {"text": "\\ud800\\u2028", "n": 1e999}}</tool_call>'
    row = HeldOutRow("odd", (Message(role="user", content="a\u2028b\x85c"), Message(role="assistant", content=odd)))
    built = build([row], "tool_call", {})
    manifest = publish(built, "scope", "d", "tool_call", tmp_path)
    assert tuple(read_problems(tmp_path / manifest.hash)) == built.problems


def test_held_out_rows_are_checked_against_their_hash(tmp_path):
    """A test part that is not what was frozen, is gone, or holds no conversation is refused by name."""
    made, _ = rows(3)
    manifest = freeze_dataset(tmp_path, made)
    folder = tmp_path / manifest.hash
    assert read_held_out(folder, manifest) == made
    (folder / "test.jsonl").write_text(json.dumps({"messages": [], "example": "x"}) + "\n")
    with pytest.raises(CorruptError, match="not what was frozen"):
        read_held_out(folder, manifest)
    (folder / "test.jsonl").unlink()
    with pytest.raises(CorruptError, match="cannot be read"):
        read_held_out(folder, manifest)
