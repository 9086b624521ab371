"""The tests of a fleet's program come along with its outcome, so that a suite built from it can run answers."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_source_fleets import RIGHT, Fleet, passed, read

from flywheel.gate.problems import ProblemError, check_expected
from flywheel.sources.fleet_tests import tests_of as found_in

TEXTS = [{"input": "1 2\n", "expected_output": "3"}, {"input": "4", "expected_output": 4}]
CALLS = [{"input": {"nums": [2, 7], "target": 9}, "expected": [0, 1]}, {"input": "[[3, 3], 6]", "expected": "[0, 1]"}]


def test_tests_come_with_the_outcome_in_the_shape_suites_expect(tmp_path):
    """Texts in and out, or calls by names or in order; each is what a problem of a suite expects."""
    fleet = Fleet(tmp_path)
    fleet.code(RIGHT, test_cases=TEXTS)
    fleet.code(RIGHT, test_cases=CALLS, function_name="twoSum")
    fleet.end(passed())
    (task,) = read(tmp_path).tasks
    first, second = (one.extra["tests"] for one in task.outcomes)
    assert check_expected("code_io", first) == {
        "tests": [{"stdin": "1 2\n", "stdout": "3"}, {"stdin": "4", "stdout": "4"}]
    }
    assert check_expected("code_calls", second) == {
        "entry": "twoSum",
        "tests": [{"args": [], "kwargs": {"nums": [2, 7], "target": 9}, "returns": [0, 1]},
                  {"args": [[3, 3], 6], "returns": [0, 1]}],
    }  # fmt: skip


@pytest.mark.parametrize("cases", [[], [{}], "x", [{"input": "1"}], [*TEXTS, {"input": {}, "expected": "1"}], None])
def test_what_cannot_be_understood_brings_no_tests(tmp_path, cases):
    """An outcome without tests, or with one that nobody understands, has none: half the tests prove less."""
    fleet = Fleet(tmp_path)
    fleet.code(RIGHT, test_cases=cases)
    fleet.end(passed())
    (task,) = read(tmp_path).tasks
    assert all("tests" not in one.extra for one in task.outcomes)


def test_a_secret_in_a_test_keeps_the_record_out(tmp_path):
    """What is stored beside an answer is searched like the answer."""
    fleet = Fleet(tmp_path)
    fleet.code(RIGHT, test_cases=[{"input": "AKIA" + "IOSFODNN7" + "QWERTYU", "expected_output": "1"}])
    fleet.end(passed())
    (task,) = read(tmp_path).tasks
    assert [refusal.rule for refusal in task.refusals] != []


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional={
    "test_cases": values | st.lists(st.fixed_dictionaries({"input": values}, optional={"expected": values})),
    "function_name": st.none() | st.text(max_size=3) | values,
}))  # fmt: skip
def test_whatever_a_log_says_brings_sound_tests_or_none(context):
    """No record breaks reading, and what comes along is what JSON can hold."""
    found = found_in(context)
    if found is None:
        return
    assert json.loads(json.dumps(found)) == found
    try:
        check_expected("code_calls" if "entry" in found else "code_io", found)
    except ProblemError:
        assert "entry" in found  # a name that cannot be called: the suite leaves it out
