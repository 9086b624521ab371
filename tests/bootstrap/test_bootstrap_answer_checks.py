"""What has to be so before a teacher's answer is believed: tests, else agreement, else a judge; never code alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_house import answer, drive, form, line, scripted

from flywheel.bootstrap.answer_checks import (
    DISAGREEMENT,
    DOES_NOT_RUN,
    EMPTY,
    FAILS_TESTS,
    NO_FORM,
    NO_PROGRAM,
    NOT_SURE,
    REJECTION,
    UNJUDGED,
    UNPROVED,
    Case,
    answered,
)
from flywheel.bootstrap.answer_forms import question_of
from flywheel.bootstrap.answer_tests import is_tested, probe_of, proof_of
from flywheel.bootstrap.dataset_rows import Proof
from flywheel.bootstrap.prompts import Prompt
from flywheel.bootstrap.proofs import FAILS, REFUSED
from flywheel.bootstrap.teacher_makings import Teaching
from flywheel.bootstrap.teacher_tasks import Ask, End, Prove, Step, Try
from flywheel.core.labels import judge
from flywheel.core.outcomes import Label, Message, Signal
from flywheel.sandbox.programs import Ending, Program, Run

KEYS = ("tests", "entry", "language", "seconds", "tolerance", "stdin", "stdout", "args", "kwargs", "returns")
PASSED = Signal(name="tests_passed", points=1, strength=0.95)
CODE = "```python\nprint(int(input()) * 2)\n```"
OTHER = "```python\nprint(int(input()) + 0)\n```"
TESTS = {"tests": [{"stdin": "1\n", "stdout": "2\n"}, {"stdin": "3\n", "stdout": "6\n"}]}
SURE, LOW, MIDDLE = form(score=9, reason="Right."), form(score=2, reason="Wrong."), form(score=6, reason="Hm.")


def prompt(asked: str = "What is it?", **fields: Any) -> Prompt:
    """A question."""
    given = {"call_type": "task_analysis", "group": "acme/shop", "subject": "acme/shop", **fields}
    return Prompt(messages=(Message(role="user", content=asked),), **given)


def went(asked: Prompt, roles: tuple[Any, ...], *said: Any) -> tuple[End, list[Step]]:
    """How a question ends by a script, and the steps to there."""
    steps, tell = scripted(*said)
    case = Case(question_of(line(), asked), Teaching(line(), "answers", asked), frozenset(roles))
    return drive(answered(case), tell), steps


def labels(end: End) -> list[tuple[str, Label, float]]:
    """What the makings of an end are taken for."""
    found = [(one.response, judge(one.signals)) for one in end.makings]
    return [(response, one.label, one.confidence) for response, one in found]


def best(which: str, score: int = 9) -> str:
    """A judge's choice."""
    return form(best=which, score=score, reason="So it is.")


ALONE = ("primary", "coder", "thinking")
CROSSED = (*ALONE, "cross")
ALL = (*CROSSED, "judge")


def test_words_of_one_teacher_count_as_no_more() -> None:
    """Nobody else is there: the answer is believed at 0.7, which lines that want more than the default leave alone."""
    end, steps = went(prompt(), ALONE, "A thing.")
    assert labels(end) == [("A thing.", Label.POSITIVE, 0.7)]
    (made,) = end.makings
    assert (made.recipe, made.origin, made.line, made.licence) == ("teach", "teacher", "code", "unknown")
    assert made.about == {"teacher": "primary", "model": "m", "task": "answers"}
    assert isinstance(steps[0], Ask)
    assert steps[0].questions[0].role == "primary"


@pytest.mark.parametrize("said", ["", "  \n", "<think>so much</think>\n", "<think>never ends"])
def test_an_empty_answer_is_none(said: str) -> None:
    """Thoughts alone are no answer."""
    assert went(prompt(), ALONE, said)[0] == End("refused", EMPTY)


def test_tests_decide() -> None:
    """What passes is believed with the evidence of the sandbox; nobody is asked for an opinion."""
    end, steps = went(prompt(tests=TESTS), ALL, CODE, PASSED)
    assert labels(end) == [(CODE, Label.POSITIVE, 0.95)]
    assert [type(one) for one in steps] == [Ask, Prove]
    assert isinstance(steps[0], Ask)
    assert steps[0].questions[0].role == "coder"
    assert isinstance(steps[1], Prove)
    assert steps[1].proof.program == "print(int(input()) * 2)\n"


def test_where_one_fails_another_may_pass() -> None:
    """The one that failed is a bad example of the same question."""
    end, steps = went(prompt(tests=TESTS), CROSSED, OTHER, FAILS, CODE, PASSED)
    assert labels(end) == [(CODE, Label.POSITIVE, 0.95), (OTHER, Label.NEGATIVE, 0.95)]
    assert isinstance(steps[2], Ask)
    assert (steps[2].optional, steps[2].questions[0].role) == (True, "cross")
    end, steps = went(prompt(tests=TESTS), ALONE, OTHER, FAILS, CODE, PASSED)
    assert isinstance(steps[2], Ask)
    assert (steps[2].questions[0].role, steps[2].questions[0].take) == ("coder", 1)
    assert end.kind == "believed"


@pytest.mark.parametrize(("second", "negatives"), [([OTHER, FAILS], 1), ([None], 1), (["no program"], 1)])
def test_who_fails_is_not_believed(second: list[Any], negatives: int) -> None:
    """Both failed, or nobody else answered: what failed may still show what is wrong."""
    script = [[second[0]], *second[1:]]
    end, _ = went(prompt(tests=TESTS), CROSSED, OTHER, FAILS, *script)
    assert (end.kind, end.reason) == ("refused", FAILS_TESTS)
    assert [label for _, label, _ in labels(end)] == [Label.NEGATIVE] * negatives


def test_no_program_is_no_bad_example() -> None:
    """Words where a program was asked for teach nobody what a wrong program is."""
    assert went(prompt(tests=TESTS), CROSSED, "I would sort it.", [None])[0] == End("refused", NO_PROGRAM)


def test_what_the_sandbox_cannot_run_waits() -> None:
    """Nothing is known of it: it lies there without a label."""
    end, _ = went(prompt(tests=TESTS), ALL, CODE, REFUSED)
    assert (end.kind, end.reason) == ("waiting", UNPROVED)
    assert labels(end) == [(CODE, Label.UNKNOWN, 0.0)]


@pytest.mark.parametrize(
    "tests",
    [
        {"tests": []},
        {},
        {"tests": "abc"},
        {"tests": [{"stdin": "1"}]},
        {"tests": [{"stdin": 1, "stdout": "1"}]},
        {"tests": [{"stdin": "1", "stdout": "1"}], "seconds": 10**6},
        {"tests": [{"stdin": "1", "stdout": "1"}], "tolerance": "much"},
        {"entry": "f", "tests": [{"args": 1, "returns": 1}]},
        {"entry": ["f"], "tests": [{"args": [1], "returns": 1}]},
        {"language": "cobol", "tests": [1]},
    ],
)
def test_no_test_proves_nothing(tests: dict[str, Any]) -> None:
    """Without a test that can be run, code waits for a judge, even when it runs."""
    end, steps = went(prompt(tests=tests), ALONE, CODE, (Run(ending=Ending.FINISHED),))
    assert (end.kind, end.reason) == ("waiting", UNJUDGED)
    assert [type(one) for one in steps] == [Ask, Try]


def test_code_has_to_run() -> None:
    """What raises by itself is refused; that input or a module is missing is no fault of it."""
    code = prompt(call_type="execute_implement")
    raised = (Run(ending=Ending.RAISED, detail="Traceback\nNameError: name 'x' is not defined"),)
    assert went(code, ALL, CODE, raised)[0] == End("refused", DOES_NOT_RUN)
    lacking = (Run(ending=Ending.RAISED, detail="Traceback\nEOFError: EOF when reading a line"),)
    assert went(code, (*ALONE, "judge"), CODE, lacking, SURE)[0].kind == "believed"


def test_what_looks_like_code_in_words_is_not_run() -> None:
    """A number is an answer to a question of mathematics, and two who come to the same are believed."""
    asked = prompt(tags=("domain:math",))
    end, steps = went(asked, CROSSED, "x = y + 1, so it is\n7", ["By another way: 7"])
    assert labels(end) == [("x = y + 1, so it is\n7", Label.POSITIVE, 0.8)]
    assert [type(one) for one in steps] == [Ask, Ask]
    assert went(prompt(call_type="code"), ALONE, "x = y + 1")[0].reason == UNJUDGED


def test_edits_have_to_fit_and_leave_files_that_can_be_read() -> None:
    """Edits of files that the question shows are applied; Python files must parse afterwards."""
    shown = prompt('<file path="a.py">\nx = 1\n</file>\n\nAnswer with edits.', call_type="execute_implement")
    edit = '<edit file="a.py">\n<search>\n{0}\n</search>\n<replacement>\nx = 2\n</replacement>\n</edit>'
    assert went(shown, ALL, edit.format("y = 1"))[0] == End("refused", NO_FORM)
    end, steps = went(shown, (*ALONE, "judge"), edit.format("x = 1"), (Run(ending=Ending.FINISHED),), SURE)
    assert end.kind == "believed"
    assert isinstance(steps[1], Try)
    assert "ast.parse" in steps[1].program.code
    broken = (Run(ending=Ending.RAISED, detail="SyntaxError: invalid syntax"),)
    assert went(shown, ALL, edit.format("x = 1"), broken)[0] == End("refused", DOES_NOT_RUN)


def test_a_tool_call_has_to_name_a_tool_and_what_it_needs() -> None:
    """Calls are read as of an agent; the tools are told in words, and the making keeps them as schemas."""
    tool = {"type": "function", "function": {"name": "look", "parameters": {"required": ["path"]}}}
    asked = prompt(tools=(tool,))
    call = '<tool_call>{{"name": "{0}", "arguments": {{"{1}": "a"}}}}</tool_call>'
    assert went(asked, ALL, call.format("see", "path"))[0] == End("refused", NO_FORM)
    assert went(asked, ALL, call.format("look", "file"))[0] == End("refused", NO_FORM)
    end, steps = went(asked, CROSSED, call.format("look", "path"), call.format("look", "path") + "\n")
    assert [label for _, label, _ in labels(end)] == [Label.POSITIVE]
    assert end.makings[0].tools == (tool,)
    assert isinstance(steps[0], Ask)
    assert '"name": "look"' in steps[0].questions[0].messages[0].content


INPUTS = {"tests": [{"stdin": "1\n"}, {"stdin": "3\n"}]}
TWO_SIX, ONE_THREE = ([Run(ending=Ending.FINISHED, output=f"{one}\n") for one in pair] for pair in ((2, 6), (1, 3)))


@pytest.mark.parametrize(
    ("second", "kind", "reason"),
    [
        (TWO_SIX, "believed", ""),
        (ONE_THREE, "waiting", DISAGREEMENT),
        ([TWO_SIX[0], Run(ending=Ending.TIMED_OUT)], "waiting", DISAGREEMENT),
    ],
)
def test_programs_agree_by_what_they_do(second: list[Run], kind: str, reason: str) -> None:
    """Where a question has inputs and nobody knows what is expected, two programs are compared by what they print."""
    ran = (Run(ending=Ending.FINISHED),)
    end, steps = went(prompt(tests=INPUTS), CROSSED, CODE, ran, [OTHER], tuple(TWO_SIX), tuple(second))
    assert (end.kind, end.reason) == (kind, reason)
    assert isinstance(steps[3], Try)
    assert steps[3].program.inputs == ("1\n", "3\n")


ODD = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
)
CASES = st.lists(st.dictionaries(st.sampled_from(KEYS), ODD | st.dictionaries(st.text(max_size=2), ODD)), max_size=3)


@given(st.dictionaries(st.sampled_from(KEYS), ODD), CASES | ODD)
def test_odd_tests_are_none(tests: dict[str, Any], cases: Any) -> None:
    """Whatever stands for tests: what can be run of it is run, and nothing is raised."""
    asked = prompt(tests={**tests, "tests": cases})
    for text in (CODE, "def f(): pass", ""):
        assert isinstance(probe_of(asked, text), Program | None)
        if is_tested(asked):
            assert isinstance(proof_of(asked, text), Proof | None)


def test_two_who_agree_are_believed() -> None:
    """The second teacher is named; no judge is paid."""
    end, steps = went(prompt(call_type="scope"), ALL, "Yes.", ["yes"])
    assert labels(end) == [("Yes.", Label.POSITIVE, 0.8)]
    assert end.makings[0].about["agrees"] == "cross"
    assert len(steps) == 2


def test_two_who_disagree_wait_for_a_judge() -> None:
    """Without one, the answer lies there and teaches nobody."""
    end, _ = went(prompt(call_type="scope"), CROSSED, "Yes.", ["No."])
    assert (end.kind, end.reason) == ("waiting", DISAGREEMENT)
    assert labels(end) == [("Yes.", Label.UNKNOWN, 0.0)]


def test_a_judge_chooses_between_two_who_disagree() -> None:
    """It sees both orders; the other answer is a bad example, for both cannot be right."""
    end, steps = went(prompt(call_type="scope"), ALL, "Yes.", ["No."], best("second"), best("first"))
    assert labels(end) == [("No.", Label.POSITIVE, 0.74), ("Yes.", Label.NEGATIVE, 0.6)]
    assert end.makings[0].about["teacher"] == "cross"
    orders = [step.questions[0].messages[1].content for step in steps[2:] if isinstance(step, Ask)]
    assert [one.index("Yes.") < one.index("No.") for one in orders] == [True, False]


@pytest.mark.parametrize(
    ("one", "other", "kind", "reason"),
    [
        (best("first"), best("first"), "waiting", NOT_SURE),
        (best("first", 6), best("second", 9), "waiting", NOT_SURE),
        (best("neither"), best("neither"), "refused", REJECTION),
        (best("neither"), best("first"), "waiting", NOT_SURE),
    ],
)
def test_a_judge_who_turns_with_the_order_is_none(one: str, other: str, kind: str, reason: str) -> None:
    """What is not the same both times, or not high both times, is no judgement."""
    end, _ = went(prompt(call_type="scope"), ALL, "Yes.", ["No."], one, other)
    assert (end.kind, end.reason) == (kind, reason)
    assert all(label is not Label.POSITIVE for _, label, _ in labels(end))


def test_a_judge_who_keeps_no_form_is_none() -> None:
    """It is asked twice for each order, and then the subject waits."""
    end, steps = went(prompt(call_type="scope"), ALL, "Yes.", ["No."], "first", "the first", best("first"))
    assert (end.kind, end.reason, len(steps)) == ("waiting", NOT_SURE, 5)


def test_what_cannot_be_compared_is_judged() -> None:
    """Two texts may both be right: the better one is taken, the other one is no bad example."""
    end, _ = went(prompt(), ALL, "It is a thing.", ["A thing, and a good one."], best("first"), best("second"))
    assert labels(end) == [("It is a thing.", Label.POSITIVE, 0.74)]
    end, _ = went(prompt(), CROSSED, "It is a thing.", ["A thing, and a good one."])
    assert labels(end) == [("It is a thing.", Label.POSITIVE, 0.7)]


@pytest.mark.parametrize(
    ("said", "kind", "count"), [(SURE, "believed", 1), (LOW, "refused", 1), (MIDDLE, "waiting", 1)]
)
def test_a_judge_alone(said: str, kind: str, count: int) -> None:
    """High is believed, low is a bad example, between them it waits."""
    end, _ = went(prompt(), (*ALONE, "judge"), "A thing.", said)
    assert (end.kind, len(end.makings)) == (kind, count)


def test_nobody_is_a_good_judge_of_its_own_words() -> None:
    """The same teacher as judge has to give a point more."""
    asked = prompt()
    case = Case(question_of(line(), asked), Teaching(line(), "answers", asked), frozenset({"primary", "judge"}))
    for score, kind in ((8, "waiting"), (9, "believed")):
        _, tell = scripted("A thing.", form(score=score, reason="Mine."))

        def own(step: Step, tell: Any = tell) -> Any:
            told = tell(step)
            return told._replace(answers=tuple(answer(one.text, "large") for one in told.answers))

        assert drive(answered(case), own).kind == kind


def test_a_second_teacher_who_says_nothing_is_not_there() -> None:
    """Cut off, refused or empty: then the judge alone decides."""
    end, _ = went(prompt(), ALL, "A thing.", [None], SURE)
    assert end.kind == "believed"
    end, _ = went(prompt(), CROSSED, "A thing.", [" "])
    assert labels(end) == [("A thing.", Label.POSITIVE, 0.7)]
