import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.gate.metrics.registry import METRICS
from flywheel.gate.metrics.tool_call import same

READ = {"name": "read_file", "arguments": {"path": "a.py", "line": 1}}
RUN = {"name": "run", "arguments": {"cmd": "pytest"}}
TOOL_CALL = METRICS["tool_call"]


def text(*calls):
    return "\n".join(f"<tool_call>{json.dumps(call)}</tool_call>" for call in calls)


def read(**arguments):
    return {"name": "read_file", "arguments": arguments}


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_calls_a_held_out_answer_right(name):
    """What a metric expects of an answer is fulfilled by that answer, and by no empty one."""
    answer = text(READ, RUN)
    expectation = METRICS[name].expect(answer)
    assert METRICS[name].score(expectation.expected, answer).value == 1
    empty = METRICS[name].score(expectation.expected, " ")
    assert (empty.value, empty.unusable) == (0, True)


@pytest.mark.parametrize(("answer", "detail"), [
    (text(RUN, READ), "call 1 is run, expected read_file"),
    (text(READ), "1 calls, expected 2"),
    (text(READ, RUN, RUN), "3 calls, expected 2"),
    (text(read(path="b.py", line=1), RUN), "call 1, read_file: path is 'b.py', expected 'a.py'"),
    (text(read(path="a.py"), RUN), "call 1, read_file: line is missing"),
    (text(read(path="a.py", line=True), RUN), "call 1, read_file: line is True, expected 1"),
    (text(read(path="a.py", line=1, x=0), RUN), "call 1, read_file: x was not asked for"),
    (text({**READ, "arguments": [1]}, RUN),
     "call 1, read_file: arguments are [1], expected {'path': 'a.py', 'line': 1}"),
    ("I will read it.", "called nothing, expected read_file, run"),
])  # fmt: skip
def test_every_difference_makes_a_call_wrong_and_is_told(answer, detail):
    """Order, number, names and arguments all count, and the first difference is named."""
    score = TOOL_CALL.score([READ, RUN], answer)
    assert (score.value, score.detail, score.unusable) == (0, detail, False)


def test_a_call_that_cannot_be_read_is_unusable():
    """Broken markup is worse than a wrong answer: an agent can do nothing with it."""
    assert TOOL_CALL.score([READ], '<tool_call>{"name": </tool_call>').unusable


def test_native_calls_are_scored_like_written_ones():
    """A server that parses the calls itself gets the same score."""
    native = [{"function": {"name": "run", "arguments": '{"cmd": "pytest"}'}}]
    assert TOOL_CALL.score([RUN], "", native).value == 1


def test_categories_are_the_tool_or_several():
    """One tool names the category; different tools together are a category of their own."""
    assert TOOL_CALL.expect(text(READ, READ)).category == "read_file"
    assert TOOL_CALL.expect(text(READ, RUN)).category == "multi-tool"
    assert TOOL_CALL.expect("no call") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(JSON, JSON)
def test_equal_means_equal_as_json(left, right):
    """Two values are the same exactly when their JSON is."""
    dump = {"sort_keys": True}
    assert same(left, right) == (json.dumps(left, **dump) == json.dumps(right, **dump))


@settings(deadline=None, max_examples=50)
@given(st.text(), st.lists(JSON, max_size=2))
def test_scoring_never_raises(answer, native):
    """Whatever a model wrote gets a score."""
    for metric in METRICS.values():
        assert metric.score([READ] if metric.name == "tool_call" else "x", answer, native).value in {0.0, 1.0}
