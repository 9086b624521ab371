"""Right is: a function that returns what was expected for every call; compared as JSON, outside of the sandbox."""

from collections.abc import Mapping, Sequence
from typing import Any

from flywheel.core.code_blocks import code_in
from flywheel.core.json_values import equal, read_json, shown
from flywheel.gate.metrics.executions import NOT_RUN, clean, judged, limits_of, nothing_to_run
from flywheel.gate.metrics.scores import Expectation, Score
from flywheel.sandbox.programs import Call, Program, Run


class CodeCallsMetric:
    """Scores 1 when every call returns what was expected; `true` is not 1, tuples are lists, floats equal to 1e-9."""

    name = "code_calls"

    def expect(self, answer: str) -> Expectation | None:  # noqa: ARG002 - an answer brings no tests
        """Return None: a held-out answer brings no tests."""
        return None

    def score(self, expected: Any, text: str, native: Sequence[Any] = ()) -> Score:  # noqa: ARG002 - it must be run
        """Say that nothing was run."""
        return NOT_RUN

    def program(self, expected: Any, text: str) -> Program | Score:
        """Return the answer's program with the calls of the tests."""
        language, entry = expected.get("language", "python"), expected["entry"]
        code = code_in(text, language, entry)
        if code is None:
            return nothing_to_run(text, f"no code was found that defines {entry}")
        calls = tuple(call_of(test) for test in expected["tests"])
        return Program(code=clean(code), language=language, entry=entry, calls=calls, limits=limits_of(expected))

    def judge(self, expected: Any, runs: Sequence[Run]) -> Score:
        """Compare what was returned with what was expected."""
        tests = expected["tests"]
        return judged(runs, len(tests), lambda number, run: value_difference(tests[number]["returns"], run))


def call_of(test: Mapping[str, Any]) -> Call:
    """Return how a test calls the function."""
    return Call(args=tuple(test.get("args", ())), kwargs=test.get("kwargs", {}))


def value_difference(wanted: Any, run: Run) -> str:
    """Return how a returned value differs from the expected one, in a few words; empty when it does not."""
    if run.value is None:
        return "returned what JSON cannot hold"
    readable, seen = read_json(run.value)
    if not readable:
        return "returned what cannot be read"
    return "" if equal(wanted, seen) else f"returned {shown(seen)}, expected {shown(wanted)}"
