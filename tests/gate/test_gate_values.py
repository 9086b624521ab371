import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.core.json_values import equal, read_json, shown
from flywheel.core.outputs import output_difference

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)
LINES = st.lists(st.text(alphabet="ab 1.", max_size=4), max_size=4)


@pytest.mark.parametrize(("wanted", "seen", "same"), [
    (1, 1.0, True), (1, True, False), (0, False, False), (True, True, True), (None, False, False), (None, 0, False),
    ([1, 2], (1, 2), True), ([], {}, False), ("1", 1, False), ("a", "a ", False), ("", None, False),
    (0.3, 0.1 + 0.2, True), (0.0, 1e-17, True), (1.0, 1.000001, False), (1e20, 1e20 + 1, True),
    (10**400, 1.0, False), (10**20, 10**20 + 1, False), (1.5, "1.5", False), (math.inf, math.inf, True),
    ({"a": 1}, {"a": 1.0}, True), ({"a": 1}, {"a": 1, "b": 2}, False), ([[1, [2.0]]], [[1, [2]]], True),
])  # fmt: skip
def test_values_are_equal_as_json(wanted, seen, same):
    """Numbers by value, floats nearly, true is never 1, tuples are lists."""
    assert equal(wanted, seen) is same


@settings(deadline=None)
@given(JSON, JSON)
def test_equality_holds_for_itself_and_both_ways(left, right):
    """Every value equals what its JSON reads back as, and equality does not depend on the side."""
    assert equal(left, json.loads(json.dumps(left)))
    assert equal(left, right) == equal(right, left)


@settings(deadline=None)
@given(st.text() | st.sampled_from(["[" * 9000, "9" * 9999, "{" * 300 + "}" * 300, '"' * 99, '["[[[["]']))
def test_reading_json_never_raises(text):
    """What cannot be read is said to be so; brackets within texts nest nothing."""
    readable, value = read_json(text)
    assert readable or value is None
    assert read_json('["' + "[" * 500 + '"]') == (True, ["[" * 500])
    assert len(shown(value)) <= 80


@pytest.mark.parametrize(("wanted", "seen", "tolerance", "difference"), [
    ("1\n2\n", "1\n2", None, ""),
    ("1\n2", "1  \n2\t\n\n\n", None, ""),
    ("a\r\nb", "a\nb", None, ""),
    ("1 2", "1  2", None, "line 1 is '1  2', expected '1 2'"),
    (" 1", "1", None, "line 1 is '1', expected ' 1'"),
    ("1\n\n2", "1\n2", None, "line 2 is '2', expected ''"),
    ("1\n2\n3", "1\n2", None, "line 3 is missing, expected '3'"),
    ("1", "1\n2", None, "line 2 was not expected: '2'"),
    ("0.5", "0.50000001", None, "line 1 is '0.50000001', expected '0.5'"),
    ("0.5", "0.50000001", 1e-6, ""),
    ("x 0.5", "x   0.50", 1e-6, ""),
    ("x 0.5", "y 0.5", 1e-6, "line 1 is 'y 0.5', expected 'x 0.5'"),
    ("1000000", "1000000.5", 1e-6, ""),
    ("nan", "nan", 1e-6, ""),
    ("1", "", None, "line 1 is '', expected '1'"),
])  # fmt: skip
def test_outputs_are_compared_as_judges_do(wanted, seen, tolerance, difference):
    """White space at ends is nobody's mistake; numbers may differ only where the problem says so."""
    assert output_difference(wanted, seen, tolerance) == difference


@settings(deadline=None)
@given(LINES, LINES, st.none() | st.just(1e-6))
def test_an_output_differs_from_itself_nowhere(left, right, tolerance):
    """White space at the end of any line changes nothing, and a difference seen from one side is seen from both."""
    one, other = "\n".join(left), "\n".join(right)
    assert not output_difference(one, "".join(f"{line} \t\n" for line in left), tolerance)
    assert bool(output_difference(one, other, tolerance)) == bool(output_difference(other, one, tolerance))
