"""Rows in the shape of HumanEval: a function to complete, and a `check(candidate)` full of asserts. Pure."""

from collections.abc import Mapping
from typing import Any

from flywheel.core.foreign_rows import BadRowError, text, told
from flywheel.core.foreign_tests import DEFINES, Tests
from flywheel.core.verdicts import Problem
from flywheel.gate.imports_asserts import calls_of
from flywheel.gate.imports_rows import Draft, problem_from

KEYS = frozenset({"prompt", "test", "entry_point"})


def read_row(row: Mapping[str, Any], tests: Tests) -> Problem:
    """Return the problem of a row; asserts that compare with literal values become calls, the others are counted."""
    question, entry = text(row, "prompt"), text(row, "entry_point").strip()
    found = calls_of(text(row, "test"))
    tests.left_out.update(found.left_out)
    for test in found.calls:
        tests.add(test)
    if not tests.kept:
        raise BadRowError("no assert compares a call with a literal value")
    identity = told(row, "task_id") or entry
    return problem_from(Draft(
        id=identity, kind="code_calls", category=told(row, "difficulty", "source") or identity.partition("/")[0],
        group=identity, question=f"Complete this:\n```python\n{question.rstrip()}\n```",
        order=DEFINES.format(entry=entry), expected={"language": "python", "entry": entry, "tests": tests.kept},
    ))  # fmt: skip
