"""How hard an example is to follow: how many files its answer is about, how many steps were taken. Pure."""

import re
from collections.abc import Sequence

from flywheel.core.sketches import Traits

SINGLE_FILE, MULTI_FILE, COMPLEX = range(3)

_MANY_FILES = 5
_MANY_STEPS = 5
_MOST = 999  # what goes beyond is as hard as that

# Files are what a key, an attribute or a header says is one: `"path": "a.py"`, `<edit file="a.py">`, `+++ b/a.py`.
_NAMED = re.compile(r"""(?:[Ff]ile|[Pp]ath)\w{0,20}\\?["']?\s{0,9}[:=]\s{0,9}\\?["']([^"'\\\n]+)""")
_LISTED = re.compile(r"""(?:files|paths)\w{0,20}\\?["']?\s{0,9}[:=]\s{0,9}\[([^\[\]]*)\]""")
_HEADED = re.compile(r"^(?:\+\+\+ (?:b/)?|\*\*\* \w+ File: )(\S+)", re.MULTILINE)
_ITEM = re.compile(r"""["']([^"'\\\n]+)\\?["']""")
_CALLS = ("<tool_call>", "<function=")


def traits_of(question: Sequence[tuple[str, str]], answer: str) -> Traits:
    """Return how many files the answer names as such, and how many turns led to it and calls make it."""
    files: set[str] = set()
    if "ile" in answer or "ath" in answer:  # a plain look costs a tenth of a pattern's
        files.update(_NAMED.findall(answer))
    if "iles" in answer or "aths" in answer:
        for row in _LISTED.findall(answer):
            files.update(_ITEM.findall(row))
    if "+++ " in answer or "*** " in answer:
        files.update(_HEADED.findall(answer))
    turns = sum(role == "assistant" for role, _ in question)
    calls = max(answer.count(mark) for mark in _CALLS)
    return Traits(min(len(files), _MOST), min(turns + calls, _MOST))


def level_of(files: int, steps: int) -> int:
    """Return the rung of a curriculum: one file, several, or a long chain or many files."""
    if steps >= _MANY_STEPS or files >= _MANY_FILES:
        return COMPLEX
    return MULTI_FILE if files > 1 else SINGLE_FILE
