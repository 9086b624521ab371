"""What readers of published questions and answers share: words, code that holds together, languages as tags. Pure."""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from flywheel.bootstrap.dataset_rows import Lesson
from flywheel.bootstrap.linters import parse
from flywheel.core.code_blocks import code_in, fenced
from flywheel.core.domains import domain_of
from flywheel.core.foreign_rows import BadRowError, clean, name, read_json, told

Row = Mapping[str, Any]

_LONGEST = 100_000  # characters of one text: more than any line here can learn from
_MOST_TESTS = 100
_LONGEST_TESTS = 1 << 20
_BROKEN = (SyntaxError, ValueError, RecursionError, MemoryError)

_NAMES: Mapping[str, str] = MappingProxyType({
    "py": "python", "python3": "python", "python2": "python", "js": "javascript", "node": "javascript",
    "ts": "typescript", "tsx": "typescript", "jsx": "javascript", "c++": "cpp", "c#": "csharp", "cs": "csharp",
    "golang": "go", "rs": "rust", "rb": "ruby", "sh": "shell", "bash": "shell", "zsh": "shell", "objective-c": "objc",
})  # fmt: skip
_NAME = re.compile(r"[a-z][a-z0-9.+#-]{0,29}")
_NO_LANGUAGE = frozenset({"text", "txt", "plaintext", "plain", "output", "console", "unknown", "none", "null", "other"})


class RowReader:
    """A reader made of a function, for shapes that need no more. See `dataset_rows.Reader`."""

    def __init__(
        self,
        name: str,
        licence: str,
        published: datetime,
        columns: tuple[str, ...],
        read: Callable[[Row], tuple[Lesson, ...]],
        *,
        proves: bool = False,
    ) -> None:
        """Keep what the dataset is, and the function that reads a row of it."""
        self.name = name
        self.licence = licence
        self.published = published
        self.columns = columns
        self.proves = proves
        self._read = read

    def read(self, row: Row) -> tuple[Lesson, ...]:
        """Return what a row teaches; raises BadRowError."""
        return self._read(row)


def words(row: Row, *keys: str) -> str:
    """Return the first of some fields that says something, as it stands; one of them must."""
    for key in keys:
        value = row.get(key)
        if isinstance(value, str) and value.strip():
            if len(value) > _LONGEST:
                raise BadRowError(f"{keys[0]} is too long")
            return clean(value)
    raise BadRowError(f"no {keys[0]}")


def text_or_nothing(value: Any) -> str | None:
    """Return a file's text, which may be empty; None where there is none."""
    return clean(value) if isinstance(value, str) and len(value) <= _LONGEST else None


def whole_answer(answer: str, language: str) -> str:
    """Return an answer that holds code and does not break off in it; Python has to parse."""
    blocks = list(fenced(answer))
    if _is_open(answer):
        raise BadRowError("the answer breaks off in its code")
    code = code_in(answer) if language == "python" else "".join(block.code for block in blocks)
    if not (code or "").strip():
        raise BadRowError("no code in the answer")
    if language == "python" and not parses(code or ""):
        raise BadRowError("its Python does not parse")
    return answer.strip()


def parses(code: str) -> bool:
    """Tell whether Python parses."""
    try:
        parse(code)
    except _BROKEN:
        return False
    return True


def about(row: Row, *keys: str) -> dict[str, Any]:
    """Return what some fields say of where a row comes from; those that say nothing are left away."""
    return {key: said for key in keys if (said := name(told(row, key)))}


def language_name(said: str) -> str:
    """Return a language as tags write it; empty where none is told."""
    lower = said.strip().lower()
    known = _NAMES.get(lower, lower)
    return known if _NAME.fullmatch(known) and known not in _NO_LANGUAGE else ""


def language_of_blocks(answer: str) -> str:
    """Return the language that the last fenced block says it is in."""
    return next((tag for block in reversed(list(fenced(answer))) if (tag := language_name(block.tag))), "")


def tags_of(language: str, question: str, tags: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what an answer's lines are selected by: its language, and for Python what the question is about."""
    named = (f"language:{language}",) if language else ()
    return (*named, f"domain:{domain_of(tags, question)}") if language == "python" else named


def tests_of(value: Any) -> list[str]:
    """Return a row's tests as they stand: a list of texts, JSON of one, or one text of Python."""
    is_json = isinstance(value, str) and value.lstrip().startswith("[")
    held = read_json(value, "tests cannot be read") if is_json else [value] if isinstance(value, str) else value
    if held is None or held in ([], [""]):
        raise BadRowError("no tests")
    if not isinstance(held, Sequence) or not all(isinstance(one, str) and one.strip() for one in held):
        raise BadRowError("tests cannot be read")
    if len(held) > _MOST_TESTS or sum(map(len, held)) > _LONGEST_TESTS:
        raise BadRowError("more tests than are run")
    return [clean(one).strip() for one in held]


def asserts_of(tests: Sequence[str]) -> tuple[str, ...]:
    """Return tests one by one; a text of nothing but asserts is as many tests as there are."""
    found = tuple(one for test in tests for one in _asserts(test))
    if len(found) > _MOST_TESTS:
        raise BadRowError("more tests than are run")
    return found


def _asserts(test: str) -> list[str]:
    try:
        body = parse(test).body
    except _BROKEN as error:
        raise BadRowError("a test is no Python") from error
    if not any(isinstance(node, ast.Assert) for one in body for node in ast.walk(one)):
        raise BadRowError("a test asserts nothing")
    alone = [ast.get_source_segment(test, one) or "" for one in body if isinstance(one, ast.Assert)]
    return alone if len(alone) == len(body) and all(alone) else [test]


def _is_open(answer: str) -> bool:
    marks = [line.strip() for line in answer.split("\n") if line.strip().startswith("```")]
    return sum("```" not in mark.lstrip("`") for mark in marks) % 2 == 1
