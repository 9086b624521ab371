import json

import pytest
from gate_house import NOW, freeze_dataset, publish_suite, rows

from flywheel.core.errors import CorruptError
from flywheel.core.outcomes import Message
from flywheel.gate.metrics.tool_call import SEVERAL
from flywheel.gate.problems import ProblemError, check_expected
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


def test_a_problem_keeps_its_time_and_the_tools_that_were_offered(tmp_path):
    """When it was asked and the schemas offered with it stand in the suite and come back from it."""
    made, known = rows(2)
    tool = {"type": "function", "function": {"name": "read_file", "parameters": {"type": "object"}}}
    known = {name: one.model_copy(update={"at": NOW, "tools": (tool,)}) for name, one in known.items()}
    built = build(made, "tool_call", known)
    manifest = publish(built, "scope", "d", "tool_call", tmp_path)
    problem = read_problems(tmp_path / manifest.hash)[0]
    assert (problem.time, problem.tools) == (NOW, (tool,))
    assert manifest.times == (NOW.isoformat(), NOW.isoformat())


@pytest.mark.parametrize(
    ("metric", "answer", "expected"),
    [
        ("choice", "The answer is **B**.", "B"),
        ("items", '```json\n["b.py", "a.py"]\n```', ["a.py", "b.py"]),
        ("items", "- src/a.py\n- src/b.py", ["src/a.py", "src/b.py"]),
        ("exact", " done ", "done"),
    ],
)
def test_each_kind_is_built_from_held_out_answers(metric, answer, expected):
    """What counts as right is taken from the answer that was proven, by the gate's metric, in its kind's shape."""
    asked = Message(role="user", content="which?")
    row = HeldOutRow("one", (asked, Message(role="assistant", content=answer)))
    silent = HeldOutRow("two", (Message(role="user", content="what?"), Message(role="assistant", content=" ")))
    built = build([row, silent], metric, {})
    (problem,) = built.problems
    assert (problem.kind, check_expected(metric, problem.expected)) == (metric, expected)
    assert built.left_out == {"no answer": 1}


def test_programs_are_judged_by_the_tests_their_outcome_came_with():
    """Tests of texts make problems of input and output, tests of calls those of calls; without tests there is none."""
    made, known = rows(4)
    tests = [
        {"tests": [{"stdin": "1\n", "stdout": "2\n"}]},
        {"entry": "add", "tests": [{"args": [1, 2], "returns": 3}]},
        {"tests": []},
        None,
    ]
    origins = {
        row.example: known[row.example].model_copy(update={"tests": one}) for row, one in zip(made, tests, strict=True)
    }
    built = build(made, "code_io", origins)
    assert [problem.kind for problem in built.problems] == ["code_io", "code_calls"]
    assert built.problems[1].expected == tests[1]
    assert built.left_out == {"no tests": 2}


def test_what_may_not_examine_is_left_out_by_its_reason():
    """A question that was taught or examined meanwhile is no problem any more."""
    made, known = rows(3)
    built = build(made, "tool_call", known, {"key-1": "taught already"})
    assert [problem.id for problem in built.problems] == ["example-0", "example-2"]
    assert built.left_out == {"taught already": 1}


@pytest.mark.parametrize(
    ("kind", "expected", "told"),
    [
        ("poem", "x", "kind: 'poem' is none of"),
        ("tool_call", [], "expected: List should have at least 1 item"),
        ("tool_call", [{"arguments": {}}], "expected.0.name: Field required"),
        ("exact", " ", "expected: String should have at least 1 character"),
        ("choice", None, "expected: Input should be a valid string"),
        ("items", ["a", "a"], "names something twice"),
        ("items", "a.py", "expected: Input should be a valid tuple"),
        ("code_io", {"tests": []}, "expected.tests: Tuple should have at least 1 item"),
        ("code_io", {"tests": [{"stdin": "1"}]}, "expected.tests.0.stdout: Field required"),
        ("code_io", {"tests": [{"stdin": "1", "stdout": "2"}], "language": "cobol"}, "expected.language"),
        ("code_io", {"tests": [{"stdin": "1", "stdout": "2"}], "seconds": 0}, "expected.seconds"),
        ("code_io", {"tests": [{"stdin": "1", "stdout": "2"}], "second": 1}, "expected.second: Extra inputs"),
        ("code_calls", {"tests": [{"returns": 1}]}, "expected.entry: Field required"),
        ("code_calls", {"entry": "a-b", "tests": [{"returns": 1}]}, "is no name that can be called"),
        ("code_calls", {"entry": "f", "tests": [{"args": [float("inf")], "returns": 1}]}, "not finite"),
        ("code_calls", {"entry": "f", "tests": [{"returns": {1: 2}}]}, "a key that is no text"),
        ("edit", {"files": {}}, "expected.files"),
        ("edit", {"files": {"../a.py": ""}}, "no path below the folder"),
        ("edit", {"files": {"a.py": ""}, "tests": [{"returns": 1}]}, "tests need the entry"),
    ],
)
def test_what_no_problem_can_expect_is_said_with_its_place(kind, expected, told):
    """An expectation of the wrong shape is refused in one line that names the place."""
    with pytest.raises(ProblemError, match=told) as error:
        check_expected(kind, expected)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("tool_call", [{"name": "read_file", "arguments": {"path": "a"}}]),
        ("items", []),
        ("code_io", {"tests": [{"stdin": "", "stdout": ""}], "seconds": 2.5, "tolerance": 1e-6}),
        (
            "code_calls",
            {"entry": "Solution.add", "tests": [{"args": [1], "kwargs": {"k": None}, "returns": [1, {"a": 2.5}]}]},
        ),
        ("edit", {"files": {"src/a.py": "x = 1\n"}, "command": ["python", "-m", "pytest"]}),
        ("edit", {"files": {"a.py": ""}, "entry": "f", "tests": [{"args": [], "returns": True}]}),
    ],
)
def test_what_suites_keep_is_what_was_given(kind, expected):
    """A sound expectation stays as it is, defaults left out, and says the same when JSON has had it."""
    assert check_expected(kind, expected) == expected
    assert check_expected(kind, json.loads(json.dumps(expected))) == expected


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
