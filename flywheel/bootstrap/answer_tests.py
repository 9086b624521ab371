"""Answers that hold programs: what proves them, and whether they run at all. Pure.

Tests are in the shape of a suite's problem: `{"tests": [{"stdin": …, "stdout": …}]}` of a program, or
`{"entry": "name", "tests": [{"args": […], "returns": …}]}` of a function.
"""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from flywheel.bootstrap.dataset_rows import Proof
from flywheel.bootstrap.prompts import Prompt
from flywheel.core.code_blocks import code_in, fenced
from flywheel.core.foreign_rows import clean
from flywheel.core.outputs import output_difference
from flywheel.core.thoughts import after_thoughts
from flywheel.sandbox.programs import Call, Ending, Language, Limits, Program, Run

#: Problems of these are answered with programs; one of mathematics may be answered with a number.
_CODE_TAGS = frozenset({"domain:python", "domain:algorithms", "domain:data_structures"})
_CODE_CALLS = ("code", "implement", "scaffold", "build")
_LONGEST = 300  # seconds of a test
_LACKING = ("ModuleNotFoundError", "ImportError", "FileNotFoundError", "PermissionError", "EOFError", "SystemExit")


def is_code(prompt: Prompt) -> bool:
    """Tell whether a question is answered with a program, or with edits of one."""
    named = any(word in prompt.call_type for word in _CODE_CALLS)
    return named or prompt.tests is not None or not _CODE_TAGS.isdisjoint(prompt.tags)


def is_tested(prompt: Prompt) -> bool:
    """Tell whether a question has tests that can be run, each with what is expected."""
    outcome = "returns" if (prompt.tests or {}).get("entry") else "stdout"
    return _is_runnable(prompt) and all(outcome in one for one in (prompt.tests or {})["tests"])


def proof_of(prompt: Prompt, answer: str) -> Proof | None:
    """Return what the program of an answer has to show; None where there is no program in it."""
    tests: Mapping[str, Any] = prompt.tests or {}
    code = _code_of(tests, answer)
    if code is None:
        return None
    given = {key: tests[key] for key in ("language", "seconds", "tolerance") if tests.get(key) is not None}
    return Proof(program=code, tests=dict(tests), **given)


def probe_of(prompt: Prompt, answer: str) -> Program | None:
    """Return the program of an answer with the inputs of its question, for which nobody knows what is expected."""
    tests: Mapping[str, Any] = prompt.tests or {}
    code = _code_of(tests, answer) if _is_runnable(prompt) else None
    if code is None:
        return None
    language, limits = tests.get("language", "python"), Limits(seconds=tests.get("seconds", Limits().seconds))
    if not tests.get("entry"):
        inputs = tuple(clean(one["stdin"]) for one in tests["tests"])
        return Program(code=code, language=language, inputs=inputs, limits=limits)
    calls = tuple(Call(args=tuple(one.get("args", ())), kwargs=one.get("kwargs", {})) for one in tests["tests"])
    return Program(code=code, language=language, entry=tests["entry"], calls=calls, limits=limits)


def do_the_same(one: Sequence[Run], other: Sequence[Run]) -> bool:
    """Tell whether two programs came to the same with every input; who does not finish does nothing."""
    pairs = zip(one, other, strict=False)
    return len(one) == len(other) and all(
        left.ending is right.ending is Ending.FINISHED
        and left.value == right.value
        and not output_difference(left.output, right.output)
        for left, right in pairs
    )


def _is_runnable(prompt: Prompt) -> bool:
    tests: Mapping[str, Any] = prompt.tests or {}
    cases, entry, tolerance = tests.get("tests"), tests.get("entry", ""), tests.get("tolerance")
    seconds = tests.get("seconds", 1)
    is_given = _is_call if entry else _is_input
    return (
        isinstance(cases, list)
        and bool(cases)
        and isinstance(entry, str)
        and tests.get("language", "python") in get_args(Language)
        and isinstance(seconds, int | float)
        and 0 < seconds <= _LONGEST
        and isinstance(tolerance, int | float | None)
        and all(isinstance(one, Mapping) and is_given(one) for one in cases)
    )


def _is_input(case: Mapping[str, Any]) -> bool:
    return isinstance(case.get("stdin"), str) and isinstance(case.get("stdout", ""), str)


def _is_call(case: Mapping[str, Any]) -> bool:
    return isinstance(case.get("args", []), list) and isinstance(case.get("kwargs", {}), dict)


def _code_of(tests: Mapping[str, Any], answer: str) -> str | None:
    code = code_in(answer, tests.get("language", "python"), tests.get("entry") or "")
    return clean(code) if code is not None and code.strip() else None


def python_in(prompt: Prompt, answer: str) -> str | None:
    """Return the Python program of an answer whose question has no tests; None where it may be another language.

    Only what is fenced: of what stands in plain text nobody can tell whether it is meant to run.
    """
    languages = {tag.removeprefix("language:") for tag in prompt.tags if tag.startswith("language:")}
    if languages - {"python"} or not is_code(prompt):
        return None
    code = code_in(answer) if any(fenced(after_thoughts(answer))) else None
    return clean(code) if code is not None and code.strip() else None


def reading_of(files: Mapping[str, str]) -> Program | None:
    """Return a program that ends well when these Python files can be parsed; None where there is none of Python."""
    texts = {path: clean(text) for path, text in files.items() if path.endswith(".py")}
    code = f"import ast\nfor path, text in {texts!r}.items():\n    ast.parse(text, path)\n"
    return Program(code=code) if texts else None


def runs_well(runs: Sequence[Run]) -> bool:
    """Tell whether a program ran, as far as can be told: what the sandbox lacks is no fault of it."""
    run = runs[0]
    last = next((line for line in reversed(run.detail.splitlines()) if line.strip()), "")
    lacks = run.ending is Ending.RAISED and last.strip().startswith(_LACKING)
    return run.ending in {Ending.FINISHED, Ending.REFUSED} or lacks
