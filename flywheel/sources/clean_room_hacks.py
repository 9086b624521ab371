"""Signs that an answer was made to pass a test rather than to be right. Pure."""

import re
from collections.abc import Iterable

from flywheel.sources.clean_room_answers import Edit
from flywheel.sources.clean_room_rewrites import added_lines, removed_lines

_VALUE = r"(-?\d+(?:\.\d+)?|\"[^\"\n]{2,}\"|'[^'\n]{2,}')"
_COMPARED = re.compile(rf"[=!]=+\s*{_VALUE}|{_VALUE}\s*[=!]==?")
_ANY_VALUE = re.compile(rf"(?<![\w.]){_VALUE}(?![\w.])")
_ASSERTION = re.compile(r"\bassert|\bexpect\s*\(|\.should\b", re.IGNORECASE)
_ORDINARY = frozenset({"0", "1", "-1", "2"})


def asks_for_the_tests_values(edits: Iterable[Edit], prompt: str) -> bool:
    """Tell whether an edit newly compares with a value that an assertion shown with the question uses."""
    compared = {value for edit in edits for value in _new_comparisons(edit)} - _ORDINARY
    if not compared:
        return False
    asserted = (line for line in prompt.splitlines() if _ASSERTION.search(line))
    return any(_bare(found) in compared for line in asserted for found in _ANY_VALUE.findall(line))


def _new_comparisons(edit: Edit) -> set[str]:
    before = {value for line in removed_lines(edit) for value in _compared(line)}
    return {value for line in added_lines(edit) for value in _compared(line)} - before


def _compared(line: str) -> set[str]:
    return {_bare(left or right) for left, right in _COMPARED.findall(line)}


def _bare(value: str) -> str:
    return value.strip("\"'")
