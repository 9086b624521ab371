"""Whether the agent took a documentation answer: it must fit the file shown, and change no code. Pure."""

import ast
import re
import warnings
from collections.abc import Sequence

from flywheel.core.outcomes import Signal
from flywheel.sources.clean_room_answers import Edit

_SHOWN = re.compile(r"^# File: (.+?)\s*\n<code[^>\n]*>\n(.*?)\n?</code>", re.MULTILINE | re.DOTALL)
_LARGEST_SOURCE = 500_000


def document_signals(prompt: str, edits: Sequence[Edit], *, kept: bool) -> tuple[Signal, ...]:
    """Judge documentation edits by the file they were shown; `kept` tells that their part was proven and stayed."""
    shown = _SHOWN.search(prompt)
    if shown is None or not edits:
        return ()
    edited = _applied(shown[2], edits)
    if edited is None:
        return (
            Signal(name="not_applied", points=-1, strength=0.85, note="its edits do not fit the file it was shown"),
        )
    same = _same_code(shown[1], shown[2], edited)
    if same is False:
        return (Signal(name="changed_code", points=-1, strength=0.85, note="it was to change words and changed code"),)
    if same and kept and edited != shown[2]:
        return (Signal(name="kept_words", points=1, strength=0.75, note="only words changed, and the part stayed"),)
    return ()


def _applied(source: str, edits: Sequence[Edit]) -> str | None:
    for edit in edits:
        if source.count(edit.search) != 1:
            return None
        source = source.replace(edit.search, edit.replacement, 1)
    return source


def _same_code(file: str, before: str, after: str) -> bool | None:
    """Tell whether two sources are the same but for comments and docstrings; None for what is not Python."""
    if not file.endswith(".py") or max(len(before), len(after)) > _LARGEST_SOURCE:
        return None
    trees = [_without_words(source) for source in (before, after)]
    if trees[0] is None:
        return None
    return trees[0] == trees[1]


def _without_words(source: str) -> str | None:
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                node.body = _without_docstring(node.body)
        return ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    words = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return body[1:] if words else body
