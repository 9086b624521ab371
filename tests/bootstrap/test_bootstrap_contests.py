"""CodeContests, APPS and TACO: each row becomes lessons to prove, or says why it is none."""

import json

import pytest
from datasets_house import ADDS, SUBTRACTS, apps_function, apps_row, code_contests, read, taco_row
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.core import foreign_tests
from flywheel.core.examples import prompt_key
from flywheel.core.foreign_rows import BadRowError
from flywheel.gate.imports import SHAPES

ROWS = {"codecontests": code_contests, "apps": apps_row, "taco": taco_row}


def programs(lessons, slot):
    return [lesson.proof.program for lesson in lessons if lesson.slot == slot]


def test_only_python_3_of_the_parallel_lists_is_tried():
    """Of CodeContests' solutions those with the code of Python 3 are tried, the shortest first."""
    lessons = read("codecontests", code_contests())
    assert programs(lessons, "right") == sorted([SUBTRACTS, ADDS], key=lambda code: (len(code), code))
    assert programs(lessons, "wrong") == ["print(0)"]
    assert {lesson.proof.shows for lesson in lessons if lesson.slot == "wrong"} == {"fault"}


def test_all_three_kinds_of_tests_prove():
    """Public, private and generated tests of CodeContests stand in one list."""
    row = code_contests(generated_tests={"input": ["7 8\n"], "output": ["15\n"]})
    tests = read("codecontests", row)[0].proof.tests["tests"]
    assert [test["stdin"] for test in tests] == ["1 2\n", "1 5\n", "7 8\n"]


def test_lists_of_pairs_are_read_too():
    """What some tools make of parallel lists, a list of objects, and language codes by name, say the same."""
    row = code_contests()
    pairs = {
        key: [dict(zip(row[key], values, strict=True)) for values in zip(*row[key].values(), strict=True)]
        for key in ("public_tests", "private_tests", "generated_tests", "solutions", "incorrect_solutions")
    }
    named = {**row["solutions"], "language": ["CPP", "PYTHON", "PYTHON3", "PYTHON3", "JAVA"]}
    assert read("codecontests", row | pairs) == read("codecontests", row)
    assert read("codecontests", row | {"solutions": named}) == read("codecontests", row)


def test_a_contest_stays_together():
    """Problems of one contest are one group, whichever dataset they stand in."""
    first, second = read("codecontests", code_contests(2))[0], read("codecontests", code_contests(3))[0]
    other = read("apps", apps_row(1))[0]
    assert first.group == second.group == other.group == "codeforces.com/1001"


@pytest.mark.parametrize("name", ROWS)
def test_the_domain_comes_from_the_tags(name):
    """Tags decide, and without them whole words of the text; TACO's tags are texts of Python lists."""
    told = {"codecontests": {"cf_tags": ["trees"]}, "taco": {}, "apps": {"question": "Sum what the tree holds."}}
    wanted = {"codecontests": "data_structures", "taco": "algorithms", "apps": "data_structures"}
    assert f"domain:{wanted[name]}" in read(name, ROWS[name](**told[name]))[0].tags


def test_a_function_is_called_as_its_starter_says():
    """A row with a function's name is proved by calls, and the question shows the code to begin with."""
    (lesson,) = read("apps", apps_function())
    assert lesson.proof.tests["entry"] == "Solution.add"
    assert lesson.proof.tests["tests"][0] == {"args": [1, 2], "returns": 3}
    assert "class Solution" in lesson.messages[-1].content


def test_the_question_is_that_of_a_suite():
    """The same row as a suite's problem asks the same: who examines on it finds it among what was learned."""
    problem = SHAPES["apps"].read(apps_row(4), foreign_tests.Tests())
    assert problem.prompt_key == prompt_key(read("apps", apps_row(4))[0].messages)


def test_limits_and_dates_are_read():
    """TACO's limits and dates stand in words; a limit is doubled, and never below five seconds."""
    lesson = read("taco", taco_row(time_limit="4.0 seconds"))[0]
    assert (lesson.proof.seconds, lesson.at.year) == (8.0, 2019)
    for limit in ("2.0 seconds", "", None, "soon", "nan seconds", "1e9 seconds", "-1 seconds", 7):
        assert read("taco", taco_row(time_limit=limit))[0].proof.seconds == 5.0


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("codecontests", {"description": ""}, "no description"),
        ("codecontests", {"solutions": {"language": [2], "solution": ["int main() {}"]}}, "no solution in Python 3"),
        ("codecontests", {"solutions": {"language": [3], "solution": []}}, "solutions are no parallel lists"),
        ("codecontests", {"public_tests": {"input": ["1"], "output": []}}, "tests are no parallel lists"),
        ("codecontests", {"public_tests": None, "private_tests": None, "generated_tests": None}, "no tests"),
        ("codecontests", {"input_file": "a.in"}, "it reads and writes files"),
        ("codecontests", {"public_tests": {"input": [None], "output": ["1"]}}, "a test's input or output is no text"),
        ("apps", {"question": None}, "no question"),
        ("apps", {"solutions": "["}, "solutions cannot be read"),
        ("apps", {"solutions": "{}"}, "solutions are no list"),
        ("apps", {"solutions": ""}, "no solution in Python 3"),
        ("apps", {"input_output": ""}, "no tests"),
        ("apps", {"input_output": "{"}, "tests cannot be read"),
        ("apps", {"input_output": '{"inputs": ["1"], "outputs": []}'}, "as many outputs as inputs are needed"),
        ("apps", {"input_output": '{"inputs": [%s], "outputs": ["1"]}' % ("9" * 5000)}, "tests cannot be read"),
        ("apps", {"input_output": '{"fn_name": 3, "inputs": [[1]], "outputs": [[1]]}'},
         "no function that can be called"),
        ("apps", {"input_output": '{"fn_name": "f", "inputs": [1], "outputs": [1]}'},
         "a function's arguments are no list"),
        ("taco", {"question": "x" * 60_001}, "the question is too long"),
        ("taco", {"solutions": json.dumps(["x" * 30_001])}, "no solution in Python 3"),
    ],
)  # fmt: skip
def test_a_broken_row_says_why(name, changes, reason):
    """What a row lacks is its reason, the same for all rows that lack it."""
    with pytest.raises(BadRowError, match=f"^{reason}$"):
        read(name, ROWS[name](**changes))


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
JSON = PLAIN | st.lists(PLAIN | st.lists(PLAIN, max_size=2), max_size=3) | st.dictionaries(st.text(max_size=6), PLAIN)
ODD = JSON | st.sampled_from(["", "[]", "{}", "[1", "['a'", "((((", "\x00", "\ud800", "nan", [[]], {"input": [1]}])


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=40)
@given(data=st.data())
def test_an_odd_row_is_read_or_rejected(name, data):
    """Whatever stands in a column, a row gives lessons or says why not; nothing else is ever raised."""
    row = ROWS[name]()
    for key in data.draw(st.sets(st.sampled_from(sorted(row)), min_size=1, max_size=4)):
        row[key] = data.draw(ODD)
    try:
        lessons = read(name, row)
    except BadRowError:
        return
    assert lessons
    assert len({lesson.key for lesson in lessons}) == len(lessons)
