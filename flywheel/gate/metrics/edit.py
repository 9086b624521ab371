"""Right is: an edit that applies to the files it is for, after which the tests are green."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from flywheel.core.code_blocks import defines, fenced
from flywheel.core.edits import EditError, apply_edits, parse_edits
from flywheel.core.patches import FilePatch, parse_patches
from flywheel.core.thoughts import after_thoughts
from flywheel.gate.metrics.code_calls import call_of, value_difference
from flywheel.gate.metrics.executions import NOT_RUN, clean, judged, limits_of, nothing_to_run
from flywheel.gate.metrics.scores import Expectation, Score
from flywheel.gate.metrics.search_blocks import apply_blocks, parse_blocks
from flywheel.sandbox.programs import Program, Run

_LONGEST = 200
_NOTHING = MappingProxyType({"applies": 0.0, "tests": 0.0})
_TEST_NAMES = ("_test.", ".test.", ".spec.")
_TEST_FOLDERS = frozenset({"tests", "test", "__tests__"})


class EditMetric:
    """Scores 1 when the edit applies and every test passes; reports both. What judges may not be edited."""

    name = "edit"

    def expect(self, answer: str) -> Expectation | None:  # noqa: ARG002 - an answer brings no files and no tests
        """Return None: a held-out answer brings neither the files it was for nor tests."""
        return None

    def score(self, expected: Any, text: str, native: Sequence[Any] = ()) -> Score:  # noqa: ARG002 - it must be run
        """Say that nothing was run."""
        return NOT_RUN

    def program(self, expected: Any, text: str) -> Program | Score:
        """Return the edited files with what tests them, or the score of an edit that does not apply."""
        said = after_thoughts(text)
        if not said.strip():
            return nothing_to_run(text, "no edit was found")
        try:
            after = edited(expected["files"], said)
            _check(expected["files"], after)
        except ValueError as error:  # an EditError, or a number in a diff's head that is none
            told = str(error) if isinstance(error, EditError) else "it cannot be read"
            return Score(0.0, f"does not apply: {told}"[:_LONGEST], "edit", unusable=True, parts=_NOTHING)
        return _program(expected, {path: clean(content) for path, content in after.items()})

    def judge(self, expected: Any, runs: Sequence[Run]) -> Score:
        """Score the tests that ran over the edited files; without tests, the command must succeed."""
        tests = expected.get("tests") or ()

        def differs(number: int, run: Run) -> str:
            return value_difference(tests[number]["returns"], run) if tests else ""

        score = judged(runs, len(tests) or 1, differs)
        return Score(score.value, score.detail, "edit", score.unusable, {"applies": 1.0, **score.parts})


def edited(files: Mapping[str, str], answer: str) -> dict[str, str]:
    """Return the files after an answer's edits, in whichever of the three forms; raises EditError when none applies."""
    if blocks := parse_blocks(answer):
        return apply_blocks(files, blocks)
    if edits := parse_edits(answer):
        return apply_edits(files, edits)
    for text in (*(block.text for block in fenced(answer)), answer):
        if patches := parse_patches(text):
            return _patched(files, patches)
    raise EditError("no edit was found")


def _patched(files: Mapping[str, str], patches: Sequence[FilePatch]) -> dict[str, str]:
    after = dict(files)
    for patch in patches:
        after[patch.file] = patch.applied(after.get(patch.file))
    return after


def _check(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Refuse an edit that changes nothing, leads out of the folder, or changes the tests that judge it."""
    changed = [path for path, content in after.items() if before.get(path) != content]
    if not changed:
        raise EditError("it changes nothing")
    for path in changed:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith(("/", "~")) or ".." in parts or "\0" in path or "\\" in path:
            raise EditError(f"{path!r} is no path below the folder")
        if is_test(path):
            raise EditError(f"it changes {path}, which tests it")


def is_test(path: str) -> bool:
    """Tell whether a file is one that tests others, by its name."""
    place = PurePosixPath(path)
    name = place.name.lower()
    named = name == "conftest.py" or name.startswith("test_") or any(part in name for part in _TEST_NAMES)
    return named or not _TEST_FOLDERS.isdisjoint(part.lower() for part in place.parts[:-1])


def _program(expected: Mapping[str, Any], files: dict[str, str]) -> Program:
    language, limits = expected.get("language", "python"), limits_of(expected)
    tests, entry = expected.get("tests") or (), expected.get("entry", "")
    if not tests:
        return Program(
            code="", language=language, files=files, command=tuple(expected.get("command", ())), limits=limits
        )
    holder = [content for path, content in files.items() if not is_test(path) and defines(content, entry, language)]
    calls = tuple(call_of(test) for test in tests)
    code = holder[0] if holder else ""
    return Program(code=code, language=language, entry=entry, calls=calls, files=files, limits=limits)
