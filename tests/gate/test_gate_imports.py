"""Importing: rows of three foreign shapes become problems, and what becomes none is counted, never believed."""

import ast
import gzip
import json
import pickle
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imports_house import apps, functional, humaneval, livecodebench, packed, write_lines

from flywheel.core.errors import FlywheelError, MisuseError, PermanentError
from flywheel.core.foreign_rows import BadRowError
from flywheel.core.foreign_tests import MOST_TESTS
from flywheel.gate import imports_pickles
from flywheel.gate.foreign_suites import problems_of, read_staged
from flywheel.gate.imports import Order, Reading, shape_of, stage
from flywheel.gate.imports_asserts import calls_of
from flywheel.gate.imports_pickles import pickled_text
from flywheel.gate.problems import problem_of
from flywheel.proc import row_files


def quiet(*_):
    pass


def imported(tmp_path, rows, **order):
    path = write_lines(tmp_path / "rows.jsonl", rows)
    reading = Reading(Order(name="n", path=path, **order), quiet)
    return list(reading.problems()), reading


def test_a_livecodebench_problem_keeps_its_tests_its_contest_and_its_date(tmp_path):
    """Public and packed private tests are both there; the contest is the group, its date the time."""
    (problem,), reading = imported(tmp_path, [livecodebench(4)])
    assert reading.shape == "livecodebench"
    assert problem.kind == "code_io"
    assert problem.expected == {
        "language": "python",
        "tests": [{"stdin": "1 2\n", "stdout": "3\n", "visible": True}, {"stdin": "4 5\n", "stdout": "9\n"}],
    }
    assert (problem.id, problem.category, problem.group) == ("livecodebench/abc4_a", "easy", "atcoder/abc2")
    assert problem.time.isoformat() == "2024-03-02T00:00:00+00:00"
    assert [one["role"] for one in problem.messages] == ["system", "user"]
    assert problem.messages[1]["content"] == livecodebench(4)["question_content"]


def test_a_method_is_called_with_arguments_that_stand_one_a_line(tmp_path):
    """A functional problem becomes calls of the class's method, and its question shows the code to begin with."""
    (problem,), _ = imported(tmp_path, [functional()])
    assert problem.kind == "code_calls"
    assert problem.expected["entry"] == "Solution.holds"
    assert problem.expected["tests"] == [{"args": [[1, 2], 3], "returns": True, "visible": True}]
    assert "class Solution:" in problem.messages[1]["content"]
    assert "Solution.holds" in problem.messages[0]["content"]


def test_an_apps_problem_reads_texts_and_lists_of_lines(tmp_path):
    """Inputs come as texts or as lists of lines, the contest out of the address."""
    (problem,), reading = imported(tmp_path, [apps(3)])
    assert reading.shape == "apps"
    assert problem.expected["tests"][1] == {"stdin": "4\n5", "stdout": "9"}
    assert (problem.id, problem.category, problem.group) == ("apps/3", "interview", "codeforces.com/1003")


@pytest.mark.parametrize(("outputs", "first"), [([[3], [4]], 3), ([[1, 2], [4]], [1, 2]), ([3, 4], 3)])
def test_an_apps_function_returns_what_its_outputs_wrap(tmp_path, outputs, first):
    """Where each output is a list of one value that value is returned, else the output itself."""
    held = {"fn_name": "add", "inputs": [[1, 2], [2, 2]], "outputs": outputs}
    (problem,), _ = imported(tmp_path, [apps(1, input_output=json.dumps(held), url="")])
    assert (problem.kind, problem.expected["entry"], problem.group) == ("code_calls", "add", "apps/1")
    assert problem.expected["tests"][0] == {"args": [1, 2], "returns": first}


def test_humaneval_asserts_become_calls_where_they_are_written_out(tmp_path):
    """Comparisons with literal values become calls; the others are counted by what they are."""
    (problem,), reading = imported(tmp_path, [humaneval()])
    assert reading.shape == "humaneval"
    assert problem.expected["tests"] == [
        {"args": [[1.0, 2.0], 0.3], "returns": True},
        {"args": [[]], "kwargs": {"k": 1}, "returns": [1, 2]},
        {"args": ["a"], "returns": 5},
        {"args": [0], "returns": None},
    ]
    assert (problem.id, problem.category, problem.group) == ("HumanEval/0", "HumanEval", "HumanEval/0")
    assert dict(reading.tests_left_out) == {
        "an assert with a tolerance": 1, "an assert that asks for any true value": 1,
        "an assert with values that JSON cannot hold": 2, "a statement that is no assert": 1,
        "an assert that is no comparison of a call with a literal value": 1,
    }  # fmt: skip


literals = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
returned = st.integers() | st.booleans() | st.text(max_size=5)


@settings(deadline=None)
@given(st.lists(st.tuples(st.lists(literals, max_size=3), returned), min_size=1, max_size=5))
def test_written_out_asserts_mean_what_they_say(asserted):
    """Whatever literal values an assert names, the call gets these arguments and must return this value."""
    lines = [f"    assert candidate({', '.join(map(repr, args))}) == {value!r}" for args, value in asserted]
    found = calls_of("def check(candidate):\n" + "\n".join(lines) + "\n")
    holds = [(args, value) for args, value in asserted if "inf" not in repr(args)]
    assert [(one["args"], one["returns"]) for one in found.calls] == [([*args], value) for args, value in holds]


class Evil:
    """What nobody may unpickle."""

    def __reduce__(self):
        return (print, ("unpickled!",))


@pytest.mark.parametrize("protocol", range(1, 6))
@pytest.mark.parametrize("text", ["", "a", "ä\u2028" * 300, "x" * 70_000])
def test_a_pickled_text_is_read_without_unpickling(protocol, text):
    """Every binary protocol of one text is read, and is that text."""
    assert pickled_text(pickle.dumps(text, protocol)) == text


@pytest.mark.parametrize("value", [Evil(), ["a"], {"a": 1}, 5, None, ("a", "b"), b"a"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_of_anything_else_is_refused(value, protocol, capsys):
    """Nothing is called, built or imported: whatever is no single text is refused."""
    with pytest.raises(BadRowError, match="more than one text"):
        pickled_text(pickle.dumps(value, protocol))
    assert capsys.readouterr().out == ""


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=20).map(lambda text: pickle.dumps(text, 4)[:-1]))
def test_broken_pickles_are_refused(data):
    """Bytes that are no whole pickle of a text never raise anything else, and never give a text that pickle denies."""
    try:
        text = pickled_text(data)
    except BadRowError:
        return
    assert isinstance(text, str)


def test_importers_never_unpickle():
    """No module of the importers knows pickle, eval or exec at all."""
    from flywheel.gate import imports, imports_apps, imports_asserts, imports_humaneval, imports_livecodebench

    for module in (imports, imports_apps, imports_asserts, imports_humaneval, imports_livecodebench, imports_pickles,
                   row_files):  # fmt: skip
        tree = ast.parse(Path(module.__file__).read_text())
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        brought = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not names & {"eval", "exec", "compile", "__import__"}
        assert not brought & {"pickle", "marshal", "shelve", "subprocess"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (livecodebench(question_content=" "), "no question_content"),
        (livecodebench(public_test_cases="[]", private_test_cases=""), "no tests"),
        (livecodebench(public_test_cases="{"), "public tests cannot be read"),
        (livecodebench(public_test_cases='["x"]'), "tests are no list of objects"),
        (livecodebench(private_test_cases="!!"), "private tests are neither JSON nor base64"),
        (livecodebench(private_test_cases="aGVsbG8="), "private tests are not compressed as they should be"),
        (livecodebench(private_test_cases=packed(["x"])), imports_pickles.REFUSED),
        (livecodebench(private_test_cases=packed("{")), "private tests cannot be read"),
        (functional(metadata="{}"), "no function that can be called"),
        (functional(metadata='{"func_name": "a b"}'), "no function that can be called"),
        (functional(public_test_cases='[{"input": "nope", "output": "1", "testtype": "functional"}]'),
         "a value that JSON cannot hold"),
        (livecodebench(public_test_cases='[{"input": "1", "output": "1", "testtype": "other"}]'),
         "tests of more than one type"),
        (apps(input_output=""), "no tests"),
        (apps(input_output="{}"), "no tests"),
        (apps(input_output='{"inputs": ["1"], "outputs": []}'), "as many outputs as inputs are needed"),
        (apps(input_output='{"inputs": [{}], "outputs": ["1"]}'), "a test's input or output is no text"),
        (apps(input_output='{"fn_name": "f", "inputs": ["1"], "outputs": [1]}'), "a function's arguments are no list"),
        (apps(input_output='{"fn_name": 5, "inputs": [[1]], "outputs": ["1"]}'), "no function that can be called"),
        (apps(question="x" * 300_000), "the question is too long"),
        (humaneval(test="def check(x:"), "its tests are no Python"),
        (humaneval(test="x = 1"), "its tests define no check(candidate)"),
        (humaneval(test="def check(f):\n    assert f(x) == 1"), "no assert compares a call with a literal value"),
        (humaneval(entry_point="a b"), "no function that can be called"),
    ],
)  # fmt: skip
def test_every_row_that_is_no_problem_is_counted_by_its_reason(tmp_path, row, reason):
    """A row that cannot be used is passed over, and its first reason is what is counted."""
    good = livecodebench(1) if "question_content" in row else apps(1) if "question" in row else humaneval(1)
    problems, reading = imported(tmp_path, [good, row])
    assert len(problems) == 1
    assert dict(reading.rejected) == {reason: 1}
    assert reading.read == 2


def test_tests_that_do_not_fit_are_left_out_and_counted(tmp_path):
    """A problem keeps so many tests and so many bytes of them; the public ones come first."""
    many = [{"input": str(n), "output": "1", "testtype": "stdin"} for n in range(MOST_TESTS + 5)]
    big = [{"input": "x" * (1 << 21), "output": "1", "testtype": "stdin"}]
    row = livecodebench(public_test_cases=json.dumps(big + many), private_test_cases="")
    (problem,), reading = imported(tmp_path, [row])
    assert len(problem.expected["tests"]) == MOST_TESTS
    assert dict(reading.tests_left_out) == {"larger than fits": 1, f"more than {MOST_TESTS} of a problem": 5}


def test_what_unpacks_beyond_measure_is_refused(tmp_path, monkeypatch):
    """A bomb of zeros is stopped at the limit, not in memory."""
    monkeypatch.setattr(imports_pickles, "MOST_BYTES", 1 << 20)
    bomb = livecodebench(2, private_test_cases=packed("0" * (1 << 24)))
    problems, reading = imported(tmp_path, [livecodebench(1), bomb])
    assert len(problems) == 1
    assert list(reading.rejected) == ["private tests are more than 1 MiB"]


@pytest.mark.parametrize("form", ["lines", "gzip", "list", "data", "values", "one", "bom", "blank lines"])
def test_files_come_in_many_forms(tmp_path, form):
    """JSON lines, packed or not, a list, a list below a name, an object of rows, a single pretty object."""
    rows = [apps(1), apps(2)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    data = {
        "lines": text.encode(), "gzip": gzip.compress(text.encode()), "list": json.dumps(rows, indent=1).encode(),
        "data": json.dumps({"data": rows}, indent=1).encode(), "bom": b"\xef\xbb\xbf" + text.encode(),
        "values": json.dumps({"a": rows[0], "b": rows[1]}).encode(), "one": json.dumps(rows[0], indent=2).encode(),
        "blank lines": text.replace("\n", "\n\n").encode(),
    }[form]  # fmt: skip
    path = tmp_path / "file"
    path.write_bytes(data)
    found = list(Reading(Order(name="n", path=path), quiet).problems())
    assert [one.id for one in found] == (["apps/1"] if form == "one" else ["apps/1", "apps/2"])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"PAR1\0\0\0", "is a Parquet file"),
        (b"\0\x01\x02", "is no text"),
        (b"[1, 2", "neither JSON nor JSON lines"),
        (b'{"a": 1}\n', "has no shape that is known"),
        (b"hello\n", "neither JSON nor JSON lines"),
        (b"hello\nworld\n", "has no shape that is known"),
        (b"\x1f\x8b broken", "cannot be read to its end"),
        (gzip.compress(b'{"a": 1}\n' * 10_000)[:-20], "cannot be read to its end|no shape"),
    ],
)
def test_what_is_no_file_of_problems_is_refused_in_a_sentence(tmp_path, data, told):
    """Nothing is staged, and the sentence says what is wrong."""
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(FlywheelError, match=told):
        stage(Order(name="n", path=path), tmp_path / "imports", quiet)
    assert list((tmp_path / "imports").iterdir()) == []


def test_a_file_that_is_not_there_is_said(tmp_path):
    """So is a folder."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(MisuseError, match="is no file"):
            stage(Order(name="n", path=path), tmp_path / "imports", quiet)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
keys = st.sampled_from(
    ["question", "input_output", "prompt", "test", "entry_point", "question_content", "public_test_cases",
     "private_test_cases", "kind", "messages", "expected", "x"]
)  # fmt: skip
objects = st.dictionaries(keys, values, max_size=6).map(lambda value: json.dumps(value).encode())


@pytest.mark.parametrize("messages", [True, 7, "word", {"role": "user"}, [None], [[]]])
def test_messages_that_are_none_are_counted(tmp_path, messages):
    """Whatever stands where the conversation should: the row is left out with its reason."""
    path = write_lines(tmp_path / "rows.jsonl", [{"kind": "exact", "expected": "x", "messages": messages}])
    reading = Reading(Order(name="n", path=path, shape="flywheel"), quiet)
    assert list(reading.problems()) == []
    assert ["messages" in reason for reason in reading.rejected] == [True]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(
    st.lists(st.binary(max_size=120) | objects, max_size=6),
    st.sampled_from(["auto", "apps", "humaneval", "livecodebench", "flywheel"]),
)
def test_no_file_breaks_an_import(tmp_path, lines, shape):
    """Whatever bytes a file holds: problems, counted rows, or one sentence; no other error, and no half folder."""
    path, folder = tmp_path / "fuzz", tmp_path / "imports"
    path.write_bytes(b"\n".join(lines))
    try:
        digest, staged = stage(Order(name="n", path=path, shape=shape), folder, quiet)
    except FlywheelError:
        assert not [one for one in folder.glob("*") if not (one / "manifest.json").exists()]
        return
    assert staged.read == staged.problems + sum(staged.rejected.values())
    assert len(list(problems_of(folder / digest / "problems.jsonl"))) == staged.problems


good_rows = st.sampled_from([livecodebench(1), functional(), apps(1), apps(2), humaneval(0)])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(good_rows, st.data())
def test_one_field_of_any_value_breaks_no_import(tmp_path, row, data):
    """A good row with any field changed to anything is a sound problem or is counted."""
    key = data.draw(st.sampled_from(sorted(row)))
    value = data.draw(values | values.map(json.dumps))
    path = write_lines(tmp_path / "rows.jsonl", [row, {**row, key: value}])
    reading = Reading(Order(name="n", path=path), quiet)
    problems = list(reading.problems())
    assert len(problems) + sum(reading.rejected.values()) == 2
    for problem in problems:
        assert problem_of(json.loads(problem.model_dump_json())).prompt_key == problem.prompt_key
    assert len({problem.id for problem in problems}) == len(problems)


def test_nests_without_bottom_are_counted(tmp_path):
    """A row that nests too deep for JSON, for Python or for a comparison is passed over."""
    deep, deeper = "[" * 150 + "]" * 150, "[" * 100_000 + "]" * 100_000
    rows = [apps(1), apps(2, input_output=f'{{"fn_name": "f", "inputs": [[{deep}]], "outputs": [1]}}'),
            apps(3, input_output=f'{{"fn_name": "f", "inputs": [[{deeper}]], "outputs": [1]}}'),
            apps(4, input_output='{"fn_name": "f", "inputs": [[NaN]], "outputs": [1]}'),
            apps(5, input_output='{"fn_name": "f", "inputs": [[1e999]], "outputs": [1]}')]  # fmt: skip
    problems, reading = imported(tmp_path, rows)
    assert [one.id for one in problems] == ["apps/1"]
    assert sum(reading.rejected.values()) == 4


def test_a_row_without_end_is_passed_over(tmp_path, monkeypatch):
    """A line longer than the limit is counted, and the one behind it is read."""
    monkeypatch.setattr(row_files, "LONGEST_LINE", 5_000)
    problems, reading = imported(tmp_path, [apps(1), apps(2, question="x" * 50_000), apps(3)])
    assert [one.id for one in problems] == ["apps/1", "apps/3"]
    assert sum(reading.rejected.values()) == 1


def test_a_document_of_any_size_is_not_taken_into_memory(tmp_path, monkeypatch):
    """One that is too large is refused with what to do."""
    monkeypatch.setattr(row_files, "LARGEST_DOCUMENT", 1_000)
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([apps(n) for n in range(20)]))
    with pytest.raises(MisuseError, match="write it as JSON lines"):
        stage(Order(name="n", path=path), tmp_path / "imports", quiet)


def test_a_long_file_is_read_a_row_at_a_time_and_says_how_far_it_is(tmp_path):
    """Memory does not grow with the file, and the last word is its end."""
    path = tmp_path / "rows.jsonl"
    with path.open("w") as file:
        for number in range(600):
            held = {"inputs": ["7 " * 5_000], "outputs": [str(number)]}
            file.write(json.dumps(apps(number, input_output=json.dumps(held))) + "\n")
    said = []
    tracemalloc.start()
    digest, staged = stage(Order(name="n", path=path), tmp_path / "imports", lambda *at: said.append(at))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = path.stat().st_size
    assert (staged.problems, staged.rejected) == (600, {})
    assert said[-1] == (size, size)
    assert [at for at, _ in said] == sorted(at for at, _ in said)
    assert peak < size / 2
    assert read_staged(tmp_path / "imports" / digest)[0] == staged


def test_a_limit_keeps_so_many_problems(tmp_path):
    """What is no problem does not count."""
    problems, reading = imported(tmp_path, [apps(1), apps(2, question=""), apps(3), apps(4)], limit=2)
    assert [one.id for one in problems] == ["apps/1", "apps/3"]
    assert reading.read == 3


def test_staging_twice_is_staging_once(tmp_path):
    """The same file under the same name is the same folder; nothing else is left."""
    path = write_lines(tmp_path / "rows.jsonl", [apps(1), apps(1)])
    first, staged = stage(Order(name="n", path=path), tmp_path / "imports", quiet)
    assert stage(Order(name="n", path=path), tmp_path / "imports", quiet) == (first, staged)
    assert [one.name for one in (tmp_path / "imports").iterdir()] == [first]
    assert [one.id for one in problems_of(tmp_path / "imports" / first / "problems.jsonl")] == ["apps/1", "apps/1#2"]


def test_nothing_of_use_is_said_with_its_reasons(tmp_path):
    """A file without any problem is refused, and the reasons are told."""
    path = write_lines(tmp_path / "rows.jsonl", [apps(1, question=""), apps(2, input_output="")])
    with pytest.raises(PermanentError, match=r"none of the 2 rows of rows.jsonl .*1: no question, 1: no tests"):
        stage(Order(name="n", path=path), tmp_path / "imports", quiet)


def test_shapes_are_told_by_their_keys():
    """A row of each shape is known, and nothing else is."""
    assert [shape_of(row) for row in (livecodebench(), apps(), humaneval(), {"question": "x"}, 5)] == [
        "livecodebench", "apps", "humaneval", "", "",
    ]  # fmt: skip


def test_a_file_whose_first_row_is_broken_is_still_lines(tmp_path):
    """A first row that is cut off makes no document of the others; a document over many lines stays one."""
    rows = [json.dumps(apps(number)) for number in range(4)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([rows[0][:-20], *rows[1:]]) + "\n")
    reading = Reading(Order(name="n", path=path), quiet)
    assert len(list(reading.problems())) == 3
    assert reading.rejected == {"a row is no JSON": 1}
    path.write_text('{"data": [\n' + ",\n".join(rows) + "\n]}\n")
    assert len(list(Reading(Order(name="n", path=path), quiet).problems())) == 4
