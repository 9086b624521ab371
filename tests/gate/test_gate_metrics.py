import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.gate.metrics.registry import EXECUTED, METRICS
from flywheel.gate.metrics.scores import ExecutedMetric, Score
from flywheel.gate.metrics.tool_call import same
from flywheel.sandbox.programs import Ending, Program, Run

READ = {"name": "read_file", "arguments": {"path": "a.py", "line": 1}}
RUN = {"name": "run", "arguments": {"cmd": "pytest"}}
TOOL_CALL = METRICS["tool_call"]


def text(*calls):
    return "\n".join(f"<tool_call>{json.dumps(call)}</tool_call>" for call in calls)


def read(**arguments):
    return {"name": "read_file", "arguments": arguments}


#: Answers of the kind that each metric judges without running them.
HELD_OUT = {
    "tool_call": text(READ, RUN),
    "exact": text(READ, RUN),
    "choice": "The answer is (B), since the other two are mistaken.",
    "items": '["src/a.py", "src/b.py"]',
}
FUNCTION = {"entry": "double", "tests": [{"args": [2], "returns": 4}, {"args": ["x"], "returns": "xx"}]}
CODE = "def double(x):\n    return x * 2\n"
#: For each metric that runs answers: what is expected, an answer that holds a program, and what its runs should do.
RUNNABLE = {
    "code_calls": (FUNCTION, f"```python\n{CODE}```", [{"value": "4"}, {"value": '"xx"'}]),
    "code_io": (
        {"tests": [{"stdin": "2\n", "stdout": "4\n"}, {"stdin": "3\n", "stdout": "6"}]},
        "```python\nprint(int(input()) * 2)\n```",
        [{"output": "4"}, {"output": "6 \n\n"}],
    ),
    "edit": (
        {"files": {"double.py": CODE.replace("2", "3")}, **FUNCTION},
        "double.py\n<<<<<<< SEARCH\n    return x * 3\n=======\n    return x * 2\n>>>>>>> REPLACE",
        [{"value": "4"}, {"value": '"xx"'}],
    ),
}


def finished(whats):
    return [Run(ending=Ending.FINISHED, **what) for what in whats]


def test_every_metric_is_tried_here():
    """No metric of the registry is left out of what follows; which of them run answers is known by their kind."""
    assert METRICS.keys() == HELD_OUT.keys() | RUNNABLE.keys()
    assert EXECUTED.keys() == RUNNABLE.keys()
    assert {name for name, metric in METRICS.items() if isinstance(metric, ExecutedMetric)} == EXECUTED.keys()


@pytest.mark.parametrize("name", HELD_OUT)
def test_every_metric_calls_a_held_out_answer_right(name):
    """What a metric expects of an answer is fulfilled by that answer, and by no empty one."""
    answer = HELD_OUT[name]
    expectation = METRICS[name].expect(answer)
    assert METRICS[name].score(expectation.expected, answer).value == 1
    empty = METRICS[name].score(expectation.expected, " ")
    assert (empty.value, empty.unusable) == (0, True)


@pytest.mark.parametrize("name", RUNNABLE)
def test_every_executed_metric_calls_what_was_expected_right(name):
    """Runs that do what is expected score 1; an answer without a program, and one that was not run, are unusable."""
    expected, answer, did = RUNNABLE[name]
    metric = EXECUTED[name]
    program = metric.program(expected, answer)
    assert isinstance(program, Program)
    assert metric.judge(expected, finished(did)).value == 1
    for unusable in (
        metric.program(expected, " \n"),
        metric.program(expected, "I cannot."),
        metric.score(expected, answer),
    ):
        assert (unusable.value, unusable.unusable) == (0, True)
    assert metric.expect(answer) is None


@pytest.mark.parametrize("name", RUNNABLE)
def test_nothing_that_is_expected_enters_the_sandbox(name):
    """A program carries what goes in and never what must come out."""
    expected, answer, _ = RUNNABLE[name]
    marked = json.loads(json.dumps(expected).replace('"4', '"SECRET').replace('"returns": 4', '"returns": "SECRET"'))
    assert "SECRET" in json.dumps(marked)
    assert "SECRET" not in EXECUTED[name].program(marked, answer).model_dump_json()


@pytest.mark.parametrize("name", RUNNABLE)
@pytest.mark.parametrize("ending", list(Ending))
def test_a_run_that_did_not_finish_passes_no_test(name, ending):
    """Whatever it printed or returned before: only a run that finished counts; too few runs are tests not passed."""
    expected, _, did = RUNNABLE[name]
    runs = [Run(ending=Ending.FINISHED, **did[0]), Run(ending=ending, detail="Traceback\nKeyError: 1", **did[1])]
    score = EXECUTED[name].judge(expected, runs)
    assert score.value == (ending is Ending.FINISHED)
    assert score.parts["tests"] == (1 if ending is Ending.FINISHED else 0.5)
    assert (ending is Ending.FINISHED) or score.detail.startswith("test 2: ")
    assert EXECUTED[name].judge(expected, runs[:1]).detail == "test 2: was not run"
    refused = [Run(ending=Ending.REFUSED)] * 2
    assert EXECUTED[name].judge(expected, refused).unusable


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


@pytest.mark.parametrize(("wanted", "told", "right"), [
    (3, "3", True), (3, "3.0", True), (3, "4", False), (3, "three", False), (True, "True", True),
    (False, "true", False), (None, "null", True), ("3", "3", True), ("3", " 3", False), ([1, "a"], '[1, "a"]', True),
    ({"k": 2.5}, '{"k": 2.5}', True),
])  # fmt: skip
def test_arguments_told_as_texts_are_read_as_servers_read_them(wanted, told, right):
    """In a format that knows texts only, 3 spells 3 and true spells true; in JSON a text is a text."""
    expected = [{"name": "f", "arguments": {"x": wanted}}]
    answer = f"<tool_call><function=f><parameter=x>{told}</parameter></function></tool_call>"
    assert TOOL_CALL.score(expected, answer).value == right
    as_json = TOOL_CALL.score(expected, text({"name": "f", "arguments": {"x": told}}))
    assert as_json.value == isinstance(wanted, str) * right


def test_a_bare_object_is_named_and_calls_nothing():
    """What would be a call between tags has a format of its own, so that a report can say what went wrong."""
    score = TOOL_CALL.score([READ], f"<think>hm</think>{json.dumps(READ)}")
    assert (score.value, score.format, score.detail) == (0, "bare json", "called nothing, expected read_file")
    assert TOOL_CALL.score([READ], '{"name": "Ada", "age": 3}').format == "none"


def test_thoughts_are_no_part_of_an_exact_answer():
    """Only what follows the thoughts is compared, and thoughts alone are no answer."""
    exact = METRICS["exact"]
    assert exact.score("x y", "<think>z</think>\nx y\n").value == 1
    assert exact.score("<think>a</think>x", "<think>b</think>x").value == 1
    assert exact.score("x", "<think>x").unusable
    assert exact.expect("<think>x</think>") is None


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


PIECES = [
    "```python\n", "```", "\n", "<think>", "</think>", "def double(x):", "    return x", "<<<<<<< SEARCH\n",
    "=======\n",
    ">>>>>>> REPLACE\n", "--- a/double.py\n", "+++ b/double.py\n", "@@ -1,2 +1,2 @@\n", "-x", "+y", " ", "[", "]", "{",
    "}", '"', "- ", "1. ", "answer is ", "B", "\\boxed{", "<edit file=", "</edit>", "<search>", "\x00", "\ud800",
    "*** Begin Patch\n", "@@ -" + "9" * 5000 + " +1 @@\n",
]  # fmt: skip
MARKUP = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=14).map("".join)
TOLD = st.none() | st.text(max_size=9) | JSON.map(json.dumps) | st.sampled_from(["[" * 5000, "9" * 5000, "NaN"])
ENDED = st.builds(
    Run, ending=st.sampled_from(list(Ending)), output=st.text(max_size=9), detail=st.text(max_size=9),
    value=TOLD,
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(st.text() | MARKUP, st.lists(JSON, max_size=2))
def test_scoring_never_raises(answer, native):
    """Whatever a model wrote gets a score, or is a program; an answer without a word is unusable."""
    for metric in METRICS.values():
        expected = [READ] if metric.name == "tool_call" else RUNNABLE.get(metric.name, ("x",))[0]
        score = metric.score(expected, answer, native)
        assert score.value in {0.0, 1.0}
        assert all(0 <= part <= 1 for part in score.parts.values())
        metric.expect(answer)


@settings(deadline=None, max_examples=150)
@given(st.text() | MARKUP, st.lists(ENDED, max_size=3))
def test_programs_are_made_and_judged_without_raising(answer, runs):
    """Whatever a model wrote, and whatever its program did, ends in a score."""
    for metric in EXECUTED.values():
        expected = RUNNABLE[metric.name][0]
        program = metric.program(expected, answer)
        assert isinstance(program, Program) or (isinstance(program, Score) and program.unusable and program.value == 0)
        score = metric.judge(expected, runs)
        assert score.value in {0.0, 1.0}
        assert 0 <= score.parts["tests"] <= 1
        assert len(score.detail) <= 200


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["\n", " ", "\t", "\r\n", "\x0b", "\u2003"]).flatmap(
        lambda blank: st.integers(0, 4).map(blank.__mul__)
    )
)
def test_an_empty_answer_is_unusable(blank):
    """White space is no answer, to no metric."""
    for metric in METRICS.values():
        expected = [READ] if metric.name == "tool_call" else RUNNABLE.get(metric.name, ("x",))[0]
        score = metric.program(expected, blank) if isinstance(metric, ExecutedMetric) else metric.score(expected, blank)
        assert (score.value, score.unusable) == (0, True)
