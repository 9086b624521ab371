"""Real functions of clones in languages of which there is little to learn from: found, never changed.

Tests, examples and what was brought in from elsewhere are left out. Of two functions of one name in a file there is
neither, so that a name means one place.
"""

import re
import textwrap
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from flywheel.bootstrap.gits import fields_of, file_at
from flywheel.bootstrap.outlines import Language, Symbol, language_of, outline
from flywheel.bootstrap.repos import Repo

SCARCE: tuple[Language, ...] = ("rust", "ruby", "swift")
LEAST_LINES, MOST_LINES = 4, 60
MOST_A_FILE = 4


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LARGEST_FILE = 200_000
_LONGEST_LINE = 300
_KINDS = frozenset({"function", "method"})
_ELSEWHERE = _words("""
    vendor third_party node_modules target pods carthage .build build dist generated test tests spec specs testing
    examples example benches bench fixtures sample samples demo
""")
_TEST_NAME = re.compile(r"(?i)(?:^test_|_test\.|_spec\.|tests?\.swift$|^tests?\.)")
_TEST_MARK = re.compile(r"#\[(?:\w+::)*(?:test|bench)\b")
_TESTS = re.compile(r"^[ \t]*#\[cfg\(test\)\]", re.MULTILINE)


class RealCode(NamedTuple):
    """A function as it stands in a file of a clone's head."""

    repo: Repo
    own: bool
    path: str
    language: Language
    symbol: Symbol
    text: str

    @property
    def code(self) -> str:
        """Return its lines as they stand there."""
        return "\n".join(self.text.split("\n")[self.symbol.first - 1 : self.symbol.last])

    @property
    def indent(self) -> str:
        """Return what stands in front of its first line."""
        return self.code[: len(self.code) - len(self.code.lstrip(" \t"))]

    @property
    def alone(self) -> str:
        """Return its lines as if it stood in a file of its own."""
        return textwrap.dedent(self.code)

    def with_other(self, alone: str) -> str:
        """Return the file with another function in this one's place, indented as this one is."""
        lines = self.text.split("\n")
        other = textwrap.indent(textwrap.dedent(alone).strip("\n"), self.indent).split("\n")
        return "\n".join([*lines[: self.symbol.first - 1], *other, *lines[self.symbol.last :]])


def real_codes(repo: Repo, languages: Collection[Language], *, own: bool) -> Iterator[RealCode]:
    """Yield the functions of a clone's head in these languages, by file and place; a few of each file."""
    names = (one.decode("utf-8", "surrogateescape")
             for one in fields_of(repo.path, "ls-tree", "-r", "-z", "--name-only", repo.head))  # fmt: skip
    for path in sorted(name for name in names if language_of(name) in languages and not _is_elsewhere(name)):
        raw = file_at(repo.path, repo.head, path) or b""
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            continue
        if len(text) <= _LARGEST_FILE:
            yield from functions_of(repo, path, text, own=own)


def functions_of(repo: Repo, path: str, text: str, *, own: bool) -> Iterator[RealCode]:
    """Yield the functions of a file that are worth an order: of a middle size, no tests, of a name of their own."""
    told = outline(path, text)
    if told is None or "\r" in text:
        return
    lines = _TESTS.split(text)[0].split("\n")  # by custom a file's tests stand at its end
    names = Counter(symbol.name for symbol in told.symbols)
    fitting = [one for one in told.symbols if names[one.name] == 1 and one.last <= len(lines) and _fits(one, lines)]
    for symbol in fitting[:MOST_A_FILE]:
        yield RealCode(repo, own, path, told.language, symbol, text)


def _fits(symbol: Symbol, lines: list[str]) -> bool:
    size = symbol.last - symbol.first + 1
    if symbol.kind not in _KINDS or not LEAST_LINES <= size <= MOST_LINES or symbol.short.startswith("test"):
        return False
    if any(_TEST_MARK.search(line) for line in lines[max(symbol.first - 4, 0) : symbol.first - 1]):
        return False
    own = lines[symbol.first - 1 : symbol.last]
    return own[-1].strip() in {"}", "end"} and all(len(line) <= _LONGEST_LINE for line in own)


def _is_elsewhere(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return any(part.lower() in _ELSEWHERE for part in parts[:-1]) or bool(_TEST_NAME.search(parts[-1]))
