"""Rows in the shape of APPS: a question, and its tests as two lists in JSON. Pure."""

from collections.abc import Mapping
from typing import Any

from flywheel.core.clocks import parse_time
from flywheel.core.foreign_rows import text, told
from flywheel.core.foreign_tests import DEFINES, READS_INPUT, Tests, add_pairs, with_starter
from flywheel.core.problem_places import contest_of_address
from flywheel.core.verdicts import Problem
from flywheel.gate.imports_rows import Draft, problem_from

KEYS = frozenset({"question", "input_output"})


def read_row(row: Mapping[str, Any], tests: Tests) -> Problem:
    """Return the problem of a row; one with a function's name is judged by what that returns."""
    question = text(row, "question")
    entry = add_pairs(row.get("input_output"), str(row.get("starter_code") or ""), tests)
    identity = told(row, "problem_id", "id", "url", "name") or "unnamed"
    return problem_from(Draft(
        id=f"apps/{identity}", kind="code_calls" if entry else "code_io", category=told(row, "difficulty", "source"),
        group=contest_of_address(told(row, "url")) or f"apps/{identity}", time=parse_time(row.get("date")),
        question=with_starter(question, str(row.get("starter_code") or "").rstrip()),
        order=DEFINES.format(entry=entry) if entry else READS_INPUT,
        expected={"language": "python", **({"entry": entry} if entry else {}), "tests": tests.kept},
    ))  # fmt: skip
