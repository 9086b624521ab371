"""Rows in the shape of LiveCodeBench: contest problems with their dates, public tests and packed private ones. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any

from flywheel.core.clocks import parse_time
from flywheel.core.foreign_rows import BadRowError, lines, read_json, text, told
from flywheel.core.foreign_tests import DEFINES, READS_INPUT, Tests, with_starter
from flywheel.core.verdicts import Problem
from flywheel.gate.imports_pickles import unpacked
from flywheel.gate.imports_rows import Draft, problem_from

KEYS = frozenset({"question_content", "public_test_cases"})
_CLASS = re.compile(r"^class\s+(\w+)", re.MULTILINE)


def read_row(row: Mapping[str, Any], tests: Tests) -> Problem:
    """Return the problem of a row; its tests are the public ones and the private ones."""
    question = text(row, "question_content")
    public = [{**case, "visible": True} for case in _cases(row.get("public_test_cases"))]
    cases = [*public, *_private(row.get("private_test_cases"))]
    types = {str(case.get("testtype", "stdin")) for case in cases}
    if len(types) != 1 or not types <= {"stdin", "functional"}:
        raise BadRowError("no tests" if not cases else "tests of more than one type")
    starter = str(row.get("starter_code") or "").rstrip()
    functional = types == {"functional"}
    entry = _entry(row, starter) if functional else ""
    for case in cases:
        test = _call(case) if functional else {"stdin": lines(case.get("input")), "stdout": lines(case.get("output"))}
        tests.add({**test, "visible": True} if case.get("visible") is True else test)
    identity = told(row, "question_id", "question_title") or "unnamed"
    contest = f"{told(row, 'platform')}/{told(row, 'contest_id') or identity}"
    return problem_from(Draft(
        id=f"livecodebench/{identity}", kind="code_calls" if functional else "code_io",
        category=told(row, "difficulty", "platform"), group=contest,
        question=with_starter(question, starter), order=DEFINES.format(entry=entry) if functional else READS_INPUT,
        expected={"language": "python", **({"entry": entry} if entry else {}), "tests": tests.kept},
        time=parse_time(row.get("contest_date")),
    ))  # fmt: skip


def _cases(value: Any) -> list[Mapping[str, Any]]:
    found = read_json(value, "public tests cannot be read")
    if found in (None, ""):
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise BadRowError("tests are no list of objects")
    return found


def _private(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, str) or not value.strip():
        return _cases(value if isinstance(value, list) else None)
    try:
        return _cases(json.loads(value))
    except (ValueError, RecursionError):
        return _cases(read_json(unpacked(value.strip()), "private tests cannot be read"))


def _entry(row: Mapping[str, Any], starter: str) -> str:
    metadata = read_json(row.get("metadata"), "metadata cannot be read")
    name = metadata.get("func_name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        raise BadRowError("no function that can be called")
    owner = _CLASS.search(starter)
    return f"{owner[1]}.{name}" if owner else name


def _call(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call whose arguments stand one a line, each as JSON."""
    given = [line for line in lines(case.get("input")).split("\n") if line.strip()]
    reason = "a value that JSON cannot hold"
    return {
        "args": [read_json(line, reason) for line in given],
        "returns": read_json(lines(case.get("output")), reason),
    }
