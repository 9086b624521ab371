"""Right is: a program that prints what was expected for every input."""

from collections.abc import Sequence
from typing import Any

from flywheel.core.code_blocks import code_in
from flywheel.core.outputs import output_difference
from flywheel.gate.metrics.executions import NOT_RUN, clean, judged, limits_of, nothing_to_run
from flywheel.gate.metrics.scores import Expectation, Score
from flywheel.sandbox.programs import Program, Run


class CodeIoMetric:
    """Scores 1 when every test prints what was expected; white space at ends aside, floats as the problem says."""

    name = "code_io"

    def expect(self, answer: str) -> Expectation | None:  # noqa: ARG002 - an answer brings no tests
        """Return None: a held-out answer brings no tests."""
        return None

    def score(self, expected: Any, text: str, native: Sequence[Any] = ()) -> Score:  # noqa: ARG002 - it must be run
        """Say that nothing was run."""
        return NOT_RUN

    def program(self, expected: Any, text: str) -> Program | Score:
        """Return the answer's program with the inputs of the tests."""
        language = expected.get("language", "python")
        code = code_in(text, language)
        if code is None or not code.strip():
            return nothing_to_run(text, "no code was found")
        inputs = tuple(test["stdin"] for test in expected["tests"])
        return Program(code=clean(code), language=language, inputs=inputs, limits=limits_of(expected))

    def judge(self, expected: Any, runs: Sequence[Run]) -> Score:
        """Compare what was printed with what was expected."""
        tests, tolerance = expected["tests"], expected.get("tolerance")
        return judged(
            runs, len(tests), lambda number, run: output_difference(tests[number]["stdout"], run.output, tolerance)
        )
