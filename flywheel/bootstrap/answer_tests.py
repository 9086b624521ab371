"""Answers that hold programs: what proves them, and whether they run at all. Pure.

Tests are in the shape of a suite's problem: `{"tests": [{"stdin": …, "stdout": …}]}` of a program, or
`{"entry": "name", "tests": [{"args": […], "returns": …}]}` of a function.
"""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import ValidationError

from flywheel.bootstrap.dataset_rows import Proof
from flywheel.bootstrap.prompts import Prompt
from flywheel.core.code_blocks import code_in
from flywheel.core.foreign_rows import clean
from flywheel.sandbox.programs import Ending, Language, Program, Run

_CODE_CALLS = ("code", "implement", "scaffold", "build")
_LACKING = ("ModuleNotFoundError", "ImportError", "FileNotFoundError", "PermissionError", "EOFError", "SystemExit")


def is_code(prompt: Prompt) -> bool:
    """Tell whether a question is answered with a program, or with edits of one."""
    named = any(word in prompt.call_type for word in _CODE_CALLS)
    return named or prompt.tests is not None or any(tag.startswith("domain:") for tag in prompt.tags)


def is_tested(prompt: Prompt) -> bool:
    """Tell whether a question has tests that can be run."""
    tests = prompt.tests or {}
    cases = tests.get("tests")
    if not isinstance(cases, Sequence) or isinstance(cases, str) or not cases:
        return False
    fields = {"returns"} if tests.get("entry") else {"stdin", "stdout"}
    return tests.get("language", "python") in get_args(Language) and all(
        isinstance(one, Mapping) and fields <= one.keys() for one in cases
    )


def proof_of(prompt: Prompt, answer: str) -> Proof | None:
    """Return what the program of an answer has to show; None where there is no program in it."""
    tests: Mapping[str, Any] = prompt.tests or {}
    language = tests.get("language", "python")
    code = code_in(answer, language, str(tests.get("entry") or ""))
    if code is None or not code.strip():
        return None
    given = {key: tests[key] for key in ("seconds", "tolerance") if tests.get(key) is not None}
    try:
        return Proof(program=code, language=language, tests=dict(tests), **given)
    except ValidationError:
        return None


def python_in(prompt: Prompt, answer: str) -> str | None:
    """Return the Python program of an answer whose question has no tests; None where it may be another language."""
    languages = {tag.removeprefix("language:") for tag in prompt.tags if tag.startswith("language:")}
    if languages - {"python"} or not is_code(prompt):
        return None
    code = code_in(answer)
    return clean(code) if code is not None and code.strip() else None


def trial_of(code: str) -> Program:
    """Return a program that is run as it is, to see whether it runs at all."""
    return Program(code=code)


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
