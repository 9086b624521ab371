"""Fleet runs: what a run's log bears out is labelled, doubt stays unknown, growing and replaced files are followed."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.lines import Line, Select
from flywheel.core.outcomes import Label
from flywheel.sources.fleet_labels import Evidence, Verdict, label_program, verdict_of
from flywheel.sources.fleets import FleetReader
from flywheel.sources.problems import SourceProblemError
from flywheel.sources.settings import FleetSource

RIGHT = "print(sum(map(int, input().split())))"
WRONG = "print(0)"
CODER = "You write Python."


class Fleet:
    """A run's log, written the way the fleet writes it."""

    def __init__(self, folder: Path, run: str = "run-a", **start):
        self.path = folder / f"{run}.jsonl"
        self.run = run
        self.at = 0
        folder.mkdir(exist_ok=True)
        self.write("run_start", run_id=run, problem_id="p1", problem_title="Sum", **start)

    def write(self, kind, **fields):
        """Append one line."""
        self.at += 1
        line = {"type": kind, "ts": f"2026-01-01T10:{self.at // 60:02}:{self.at % 60:02}+00:00", **fields}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def call(self, system=CODER, output="hm", **more):
        """Append a model call."""
        messages = [{"role": "system", "content": system}, {"role": "user", "content": f"step {self.at}"}]
        self.write("vllm_call", task_id=self.run, call_id=f"c{self.at}", tier="unknown", input=messages,
                   **{"output": output, "status": "success", **more})  # fmt: skip

    def ran(self, program, status="success", validation=None, tests=2, **context):
        """Append the line that a program was run."""
        context = {"test_cases": [{}] * tests, **context}
        self.write("fleet_execution", task_id="t", prompt_used=CODER, output_code=program, status=status,
                   validation_result=validation, metadata={"adapter": "lora-3", "context": context})  # fmt: skip

    def code(self, program, **more):
        """Append a call that wrote a program, and that it was run."""
        self.call(output=f"```python\n{program}\n```")
        self.ran(program, **more)

    def end(self, validation, status="completed"):
        """Append the run's end."""
        self.write("run_end", run_id=self.run, status=status, validation=validation, error=None)


def passed(tests=2):
    """A validation in which everything passed."""
    results = [{"status": "passed", "actual_output": "6", "expected_output": "6"}] * tests
    return {"passed": True, "total_passed": tests, "total_failed": 0, "test_results": results}


def failed(status="wrong_answer", message=None, actual="5", expected="6"):
    """A validation in which everything failed, for a reason."""
    result = {"status": status, "actual_output": actual, "expected_output": expected, "error_message": message}
    return {"passed": False, "total_passed": 0, "total_failed": 2, "test_results": [result] * 2}


def read(folder, cursor=None):
    """All outcomes, of the first look."""
    return FleetReader(FleetSource(name="fleet", path=folder)).read(cursor or {}, None)


def labels(folder):
    """The labels of the calls that wrote programs."""
    outcomes = [o for task in read(folder).tasks for o in task.outcomes]
    return [o.labelled.label.value for o in outcomes if o.call_type == "code"]


def test_a_program_that_passed_all_tests_is_positive_and_its_failed_attempt_negative(tmp_path):
    """The attempt that failed its tests and the one that passed share a chain; the problem is the group."""
    fleet = Fleet(tmp_path, problem_tags=["number theory"])
    fleet.code(WRONG, status="error", validation=failed())
    fleet.code(RIGHT)
    fleet.end(passed())
    (task,) = read(tmp_path).tasks
    first, second = task.outcomes
    assert [first.labelled.label, second.labelled.label] == [Label.NEGATIVE, Label.POSITIVE]
    assert second.labelled.confidence > 0.9
    assert first.chain == second.chain == "fleet/run-a/code"
    assert (second.group, second.tags, second.model, second.call_type) == ("p1", ("domain:math",), "lora-3", "code")
    assert (task.settled, task.mirrors) == (True, True)


@pytest.mark.parametrize(
    "validation",
    [
        None,
        passed(0),
        {**passed(), "total_passed": 0},
        {**passed(), "passed": False},
        {**passed(), "error": "runner died"},
        passed(1),
        {"passed": True, "total_passed": 2, "total_failed": 0, "test_results": []},
        {"passed": True, "total_passed": 2, "test_results": [{"status": "passed", "expected_output": "6"}] * 2},
    ],
)
def test_success_without_all_tests_is_unknown(tmp_path, validation):
    """No runner, none of none, totals that its tests do not bear out, tests left out: nobody knows."""
    fleet = Fleet(tmp_path)
    fleet.code(RIGHT)
    fleet.end(validation)
    assert labels(tmp_path) == ["unknown"]


@pytest.mark.parametrize(
    ("validation", "label"),
    [
        (failed(), "negative"),
        (failed("runtime_error", 'Traceback (most recent call last):\n  File "x", line 1', ""), "negative"),
        (failed("timeout", None, ""), "negative"),
        (failed("runtime_error", "'dict' object has no attribute 'encode'", ""), "unknown"),
        (failed(actual="[0, 1]", expected=[0, 1]), "unknown"),
        (failed(actual="", expected=[0, 1]), "unknown"),
        (failed(actual="[0, 2]", expected=[0, 1]), "negative"),
        (failed(actual=" 6\n", expected="6"), "unknown"),
        (failed("strange", None), "unknown"),
    ],
)
def test_only_a_programs_own_fault_speaks_against_it(tmp_path, validation, label):
    """A test whose machinery failed, or that compares a value with its text, shows nothing."""
    fleet = Fleet(tmp_path)
    fleet.code(RIGHT, status="error", validation=validation)
    fleet.end(None, status="failed")
    assert labels(tmp_path) == [label]


def test_a_program_that_came_from_elsewhere_or_failed_before_is_unknown(tmp_path):
    """The tests must have met this very answer, and not have failed on the same program before."""
    fleet = Fleet(tmp_path / "a")
    fleet.call(output="here it is")
    fleet.ran(RIGHT)
    fleet.end(passed())
    assert labels(tmp_path / "a") == ["unknown"]
    fleet = Fleet(tmp_path / "b")
    fleet.code(RIGHT, status="error", validation=failed())
    fleet.code(RIGHT)
    fleet.end(passed())
    assert labels(tmp_path / "b") == ["unknown", "unknown"]


def test_an_answer_no_program_was_taken_from_is_negative(tmp_path):
    """Prose, an error and an empty answer before the program that was taken."""
    fleet = Fleet(tmp_path)
    fleet.call(output="I think you should add them.")
    fleet.call(output="", status="error", error="connection reset")
    fleet.code(RIGHT)
    fleet.end(passed())
    assert labels(tmp_path) == ["negative", "negative", "positive"]


def test_plans_are_told_from_programs_and_stay_unknown(tmp_path):
    """What the log decides next says what a call was for, though it is written later."""
    fleet = Fleet(tmp_path)
    fleet.call("plan!", "1. add")
    fleet.at += 1
    planned = f"2026-01-01T10:00:{fleet.at:02}Z"
    fleet.call("route!", "{}")
    fleet.at += 1
    routed = f"2026-01-01T10:00:{fleet.at:02}Z"
    fleet.code(RIGHT)
    fleet.write("dispatcher_routing", ts=routed)
    fleet.write("architect_decision", ts=planned, goal="walk the binary tree")
    fleet.end(passed())
    outcomes = read(tmp_path).tasks[0].outcomes
    assert [(o.call_type, o.labelled.label.value) for o in outcomes] == [
        ("plan", "unknown"), ("dispatch", "unknown"), ("code", "positive"),
    ]  # fmt: skip
    assert outcomes[0].tags == ("domain:data_structures",)


def test_a_run_that_was_killed_is_unknown(tmp_path):
    """Without an end nothing is positive; a failed test still speaks."""
    fleet = Fleet(tmp_path)
    fleet.code(WRONG, status="error", validation=failed())
    fleet.code(RIGHT)
    assert labels(tmp_path) == ["negative", "unknown"]
    assert not read(tmp_path).tasks[0].settled


@pytest.mark.asyncio
async def test_a_run_is_followed_while_it_is_written(store, tmp_path, house):
    """A torn last line waits, what follows revises the labels, and each call is stored once."""
    fleet = Fleet(tmp_path / "runs")
    made = type(house)(store, FleetSource(name="fleet", path=tmp_path / "runs"))
    made.lines = {"python-lora": Line(name="python-lora", why="w", base="b", select=Select(tags=("domain:python",)))}
    fleet.code(RIGHT)
    whole = fleet.path.read_bytes()
    await made.cycle()
    assert made.labels() == {"unknown": 1}
    fleet.end(passed())
    line = fleet.path.read_bytes()[len(whole) :]
    fleet.path.write_bytes(whole + line[:20])
    await made.cycle()
    assert made.labels() == {"unknown": 1}
    fleet.path.write_bytes(whole + line)
    assert made.room.changed()
    await made.cycle()
    assert made.labels() == {"positive": 1}
    assert (made.outcomes()[0].outcome.line, len(made.outcomes())) == ("python-lora", 1)
    assert made.events("sources.row_quarantined") == []
    assert not made.room.changed()
    made.room.close()


@pytest.mark.asyncio
async def test_what_a_call_was_for_may_be_told_later(store, tmp_path, house):
    """A plan is logged when it has ended: until then its call is of no kind, and then it is one."""
    folder = tmp_path / "runs"
    fleet = Fleet(folder)
    fleet.call("plan!", "1. add")
    made = type(house)(store, FleetSource(name="fleet", path=folder))
    kinds = []
    for _ in range(2):
        await made.cycle()
        kinds += [stored.outcome.call_type for stored in made.outcomes()]
        fleet.write("architect_decision", goal="add")
    assert kinds == ["", "plan"]
    made.room.close()


@pytest.mark.asyncio
async def test_a_run_that_was_rewritten_leaves_nothing_behind(store, tmp_path, house):
    """What a rewritten file holds no more is retired; a truncated or deleted file takes nothing away."""
    folder = tmp_path / "runs"
    fleet = Fleet(folder)
    fleet.code(RIGHT)
    fleet.end(passed())
    made = type(house)(store, FleetSource(name="fleet", path=folder))
    await made.cycle()
    fleet.path.write_text("")
    await made.cycle()
    assert made.labels() == {"positive": 1}
    fleet.path.unlink()
    await made.cycle()
    assert made.labels() == {"positive": 1}
    again = Fleet(folder)
    again.code(WRONG, status="error", validation=failed())
    await made.cycle()
    assert made.labels() == {"unknown": 1, "negative": 1}
    made.room.close()


@pytest.mark.asyncio
async def test_odd_lines_are_refused_by_name_and_the_rest_goes_on(store, tmp_path, house):
    """Lines that are no objects, calls without time or question, and secrets are quarantined once."""
    folder = tmp_path / "runs"
    fleet = Fleet(folder)
    with fleet.path.open("ab") as file:
        file.write(b'{"type": \n[1]\n\xff\xfe\n{"a": ' + b"[" * 100 + b"]" * 100 + b"}\n" + b"[" * 100_000 + b"\n")
    fleet.write("vllm_call", ts="never", input=[])
    fleet.write("vllm_call")
    fleet.call(output="\ud800")
    fleet.call(output="key = 'ghp_" + "a1B2" * 9 + "'")
    fleet.code(RIGHT)
    fleet.end(passed())
    (folder / "run-copy.jsonl").write_bytes(fleet.path.read_bytes())
    os.mkfifo(folder / "run-pipe.jsonl")
    made = type(house)(store, FleetSource(name="fleet", path=folder))
    for _ in range(2):
        await made.cycle()
        made.room.ask_full_look()
    assert made.labels() == {"positive": 1}
    rules = {event.body["rule"] for event in made.events("sources.row_quarantined")}
    assert rules == {"not-json", "not-object", "not-utf8", "too-deep", "no-time", "no-question", "github-token", "copy",
                     "not-a-file"}  # fmt: skip
    made.room.close()


def test_a_folder_that_is_none_is_named(tmp_path):
    """A missing folder and a file in its place are problems in words."""
    (tmp_path / "file").touch()
    for path, words in ((tmp_path / "none", "there is no such folder"), (tmp_path / "file", "is not a folder")):
        with pytest.raises(SourceProblemError, match=words):
            FleetReader(FleetSource(name="fleet", path=path)).changed()


numbers = st.integers(min_value=0, max_value=3)
verdicts = st.none() | st.builds(Verdict, numbers, numbers, numbers, numbers, st.booleans())
evidences = st.builds(Evidence, *[st.booleans()] * 3, verdicts, st.booleans(), verdicts, *[st.booleans()] * 2)
RANK = {Label.NEGATIVE: 0, Label.UNKNOWN: 1, Label.POSITIVE: 2}


@given(evidences)
def test_worse_evidence_never_raises_a_label(evidence):
    """Whatever is added against an answer, its label gets no better; and success needs tests that passed."""
    label = label_program(evidence).label
    worse = [
        {"answered": False}, {"failed": True}, {"passed_over": True}, {"ended_well": False}, {"contradicted": True},
        {"succeeded": False},
    ]  # fmt: skip
    for change in worse:
        if change == {"contradicted": True} and label is Label.NEGATIVE:
            continue  # that the same program passed elsewhere speaks for it
        assert RANK[label_program(evidence._replace(**change)).label] <= RANK[label]
    if label is Label.POSITIVE:
        assert evidence.final.all_passed
        assert evidence.final.passed > 0


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
                        st.sampled_from(["passed", "test_results", "status", "total_passed", "actual_output"]), inner),
                    max_leaves=20))  # fmt: skip
def test_a_verdict_never_raises(validation):
    """Whatever stands where a validation should be is read as one or as none."""
    verdict = verdict_of(validation, 1, asks_function=False)
    assert verdict is None or not verdict.all_passed or "test_results" in validation
