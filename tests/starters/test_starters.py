import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the shared fixtures lie beside the rooms of the tests

import ast
import json
import os
from collections import Counter

import build_starters
import pytest
from fixtures.executors import need_bubblewrap, running_executor
from starter_calls import BOXES
from starter_functions import FUNCTIONS, SCRIPTS

from flywheel.core.examples import prompt_key
from flywheel.core.json_values import equal
from flywheel.core.outcomes import Message
from flywheel.gate.foreign_suites import Distinct, starter_names
from flywheel.gate.metrics.registry import EXECUTED, METRICS
from flywheel.gate.problems import problem_of
from flywheel.gate.sharing import sketch_of
from flywheel.sandbox.clients import Executor
from flywheel.sandbox.doubles import PlainExecutor
from flywheel.sandbox.programs import Call, Ending, Limits, Program, Run

STARTERS = {
    path.stem: [problem_of(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    for path in sorted(build_starters.STARTERS.glob("*.jsonl"))
}
PYTHON, TOOLS = STARTERS["python-functions"], STARTERS["tool-calling"]
CALLS = [problem for problem in PYTHON if problem.kind == "code_calls"]
PROGRAMS = [problem for problem in PYTHON if problem.kind == "code_io"]
REFERENCES = {f"python/{one.name}": one.code for one in (*FUNCTIONS, *SCRIPTS)}
AT_ONCE = 25
PATIENT = Limits(seconds=120)  # a busy machine is no fault of a reference
SOAK = bool(os.environ.get("FLYWHEEL_SOAK"))
EVERY = 1 if SOAK else 25
RUN_ALL = """

def run_all(entries, calls):
    return [[globals()[entry](*one) for one in args] for entry, args in zip(entries, calls)]
"""


def answer(code):
    return f"Here is the code:\n\n```python\n{code}```\n"


async def returned(problems, codes):
    """What functions return for all their tests, many functions in one process: they are ours, and trusted."""
    values = {}
    async with PlainExecutor() as executor:
        for some in (problems[at : at + AT_ONCE] for at in range(0, len(problems), AT_ONCE)):
            calls = [[test["args"] for test in one.expected["tests"]] for one in some]
            asked = Call(args=([one.expected["entry"] for one in some], calls))
            code = "".join(codes[one.id] + "\n\n" for one in some) + RUN_ALL
            (run,) = await executor.run(Program(code=code, entry="run_all", calls=(asked,), limits=PATIENT))
            assert run.ending is Ending.FINISHED, run.detail
            values |= zip([one.id for one in some], json.loads(run.value), strict=True)
    return values


def judged(problem, values):
    runs = [Run(ending=Ending.FINISHED, value=json.dumps(value)) for value in values]
    return EXECUTED["code_calls"].judge(problem.expected, runs)


def test_the_files_are_what_their_problems_make():
    """The shipped files are exactly what the script writes; running it again changes nothing."""
    built = build_starters.build()
    assert {path.name for path in build_starters.STARTERS.iterdir()} == built.keys()
    for name, text in built.items():
        assert (build_starters.STARTERS / name).read_text(encoding="utf-8") == text, name
    assert starter_names() == sorted(name.removesuffix(".jsonl") for name in built)


def test_there_are_enough_problems_from_enough_groups():
    """300 problems and more: 200 functions, 120 tool calls, each suite from 30 groups of which none rules."""
    assert len(CALLS) >= 200
    assert len(PROGRAMS) >= 30
    assert len(TOOLS) >= 120
    for problems in STARTERS.values():
        groups = Counter(problem.group for problem in problems)
        assert len(groups) >= 30
        assert max(groups.values()) <= 6
        assert len({problem.category for problem in problems}) >= 9
        assert len({problem.id for problem in problems}) == len(problems)


def test_every_question_is_asked_once():
    """Keys are those of the questions, and no question of either suite is nearly another."""
    seen = Distinct(0.85)
    for problem in (*PYTHON, *TOOLS):
        assert problem.prompt_key == prompt_key(tuple(Message(**one) for one in problem.messages))
        assert not seen.again(problem, sketch_of(problem.messages)), problem.id


@pytest.mark.asyncio
async def test_every_reference_passes_all_tests_of_its_problem():
    """Each problem can be solved: the reference's code, as an answer would hold it, passes every test."""
    values = await returned(CALLS, REFERENCES)
    for problem in CALLS:
        program = EXECUTED["code_calls"].program(problem.expected, answer(REFERENCES[problem.id]))
        assert isinstance(program, Program), problem.id
        assert len(program.calls) >= 5, problem.id
        score = judged(problem, values[problem.id])
        assert score.value == 1, (problem.id, score.detail)


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    """The double; for a soak the real executor."""
    if not SOAK:
        yield PlainExecutor()
        return
    need_bubblewrap()
    with running_executor(tmp_path_factory.mktemp("executor")) as running:
        yield Executor(running.socket)


@pytest.mark.asyncio
@pytest.mark.parametrize("problem", [*CALLS[::EVERY], *PROGRAMS], ids=lambda one: one.id)
async def test_references_pass_through_the_executor_one_by_one(problem, runner):
    """The same, test by test and each in a process of its own, as answers are run."""
    metric = EXECUTED[problem.kind]
    program = metric.program(problem.expected, answer(REFERENCES[problem.id]))
    runs = await runner.run(program.model_copy(update={"limits": PATIENT}))
    score = metric.judge(problem.expected, runs)
    assert (score.value, score.parts["tests"]) == (1, 1), score.detail
    assert len(problem.expected["tests"]) >= 5


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body", ["return None", "return args[0] if args else None", "return args[-1] if args else None", "return len(args)"]
)
async def test_code_that_only_pretends_solves_nothing(body):
    """Code that returns nothing, or what it was given, solves no problem."""
    codes = {one.id: f"def {one.expected['entry']}(*args):\n    {body}\n" for one in CALLS}
    values = await returned(CALLS, codes)
    assert [one.id for one in CALLS if judged(one, values[one.id]).value] == []


@pytest.mark.parametrize("constant", [True, False, 0, 1, "", [], {}, [[]], -1, "x"], ids=json.dumps)
def test_no_constant_solves_a_problem(constant):
    """Whoever always says the same solves nothing, and misses at least two tests of every problem."""
    for problem in CALLS:
        count = len(problem.expected["tests"])
        assert judged(problem, [constant] * count).parts["tests"] <= 1 - 2 / count + 1e-9, problem.id


def test_programs_that_only_pretend_solve_nothing():
    """Printing nothing, the input, or one fixed expected output solves no problem of programs."""
    for problem in PROGRAMS:
        tests = problem.expected["tests"]
        for outputs in (
            [""] * len(tests),
            [test["stdin"] for test in tests],
            *([one["stdout"]] * len(tests) for one in tests),
        ):
            runs = [Run(ending=Ending.FINISHED, output=output) for output in outputs]
            assert EXECUTED["code_io"].judge(problem.expected, runs).value == 0, problem.id


def test_questions_show_one_example_and_name_the_function():
    """A question says what is to be written, shows its first test, and not the last of them."""
    for problem in CALLS:
        question = problem.messages[0]["content"]
        first, *_, last = problem.expected["tests"]
        assert f"`{problem.expected['entry']}(" in question
        called, _, value = question.rpartition("Example: `")[2].rstrip("`.").partition("` returns `")
        args = ast.literal_eval(f"[{called.partition('(')[2].removesuffix(')')}]")
        assert equal(first["args"], args), problem.id
        assert equal(first["returns"], ast.literal_eval(value)), problem.id
        assert not equal(last["args"], args), problem.id
    for problem in PROGRAMS:
        assert problem.expected["tests"][0]["stdout"] in problem.messages[0]["content"], problem.id


def valid(schema, value):
    """Whether a value keeps to a schema, as far as the shipped tools use them."""
    if schema["type"] == "object":
        known = schema.get("properties", {})
        extra = schema.get("additionalProperties", False)
        return (
            isinstance(value, dict)
            and set(schema.get("required", ())) <= value.keys()
            and all(valid(known.get(key) or extra or {"type": "none"}, one) for key, one in value.items())
        )
    if schema["type"] == "array":
        return isinstance(value, list) and all(valid(schema["items"], one) for one in value)
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "none": ()}
    fits = isinstance(value, kinds[schema["type"]]) and (schema["type"] == "boolean" or not isinstance(value, bool))
    return fits and value in schema.get("enum", [value])


def written(calls):
    return "\n".join(f"<tool_call>\n{json.dumps(one)}\n</tool_call>" for one in calls)


def as_functions(calls):
    def text(value):
        return value if isinstance(value, str) else json.dumps(value)

    def function(one):
        parameters = "".join(
            f"<parameter={key}>\n{text(value)}\n</parameter>\n" for key, value in one["arguments"].items()
        )
        return f"<tool_call>\n<function={one['name']}>\n{parameters}</function>\n</tool_call>"

    return "\n".join(map(function, calls))


@pytest.mark.parametrize("problem", TOOLS, ids=lambda one: one.id)
def test_the_expected_calls_are_offered_valid_and_right_in_every_format(problem):
    """What is expected calls tools that are offered, with arguments that their schemas allow, and scores 1."""
    offered = {tool["function"]["name"]: tool["function"]["parameters"] for tool in problem.tools}
    assert len(offered) == len(problem.tools)
    for one in problem.expected:
        assert valid(offered[one["name"]], one["arguments"]), one
    metric = METRICS["tool_call"]
    native = [
        {"function": {"name": one["name"], "arguments": json.dumps(one["arguments"])}} for one in problem.expected
    ]
    for text, calls in ((written(problem.expected), []), (as_functions(problem.expected), []), ("", native)):
        score = metric.score(problem.expected, text, calls)
        assert score.value == 1, score.detail
    for wrong in (
        problem.expected[:-1],
        [*problem.expected, problem.expected[0]],
        [{"name": n, "arguments": {}} for n in offered],
    ):
        assert metric.score(problem.expected, written(wrong) or "none").value == 0


def test_tools_are_varied():
    """Most questions offer a choice, and every way to give arguments occurs: texts, numbers, truths, lists, objects."""
    assert sum(len(problem.tools) > 1 for problem in TOOLS) >= 100
    assert sum(len(problem.expected) > 1 for problem in TOOLS) >= 12
    values = [value for problem in TOOLS for one in problem.expected for value in one["arguments"].values()]
    assert all(sum(type(value) is kind for value in values) >= 5 for kind in (str, int, float, bool, list, dict))
    assert len({json.dumps(box.tools) for box in BOXES}) == len(BOXES)
