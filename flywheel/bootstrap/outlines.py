"""What a file of code holds: its symbols, what each of them uses, and what the file imports. Pure.

Python is read by its own parser, TypeScript, JavaScript, Rust, Ruby and Swift by tree-sitter. What does not parse has
no outline, because half of one would be a lie.
"""

from pathlib import PurePosixPath
from typing import Literal, NamedTuple

Kind = Literal["function", "method", "class", "type", "value"]
Language = Literal["python", "typescript", "tsx", "javascript", "rust", "ruby", "swift"]

LANGUAGES: dict[str, Language] = {
    ".py": "python", ".pyi": "python", ".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx",
    ".js": "javascript", ".jsx": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".rs": "rust", ".rb": "ruby",
    ".swift": "swift",
}  # fmt: skip


class Symbol(NamedTuple):
    """Something with a name; lines count from 1, `uses` are the names that stand in it, its own left out."""

    name: str
    kind: Kind
    first: int
    last: int
    signature: str
    uses: frozenset[str] = frozenset()
    doc: str = ""

    @property
    def short(self) -> str:
        """Return the name that others use."""
        return self.name.rpartition(".")[2]


class Outline(NamedTuple):
    """A file's symbols in order, and what it imports as it writes it: `..pkg.mod`, `./util`, `crate::a`, `x/y`."""

    language: Language
    symbols: tuple[Symbol, ...]
    imports: tuple[str, ...]


def language_of(path: str) -> Language | None:
    """Return the language of a file by its name; None when it is none of ours."""
    return LANGUAGES.get(PurePosixPath(path).suffix.lower())


def outline(path: str, text: str) -> Outline | None:
    """Return what a file holds; None when its language is none of ours, or it does not parse."""
    language = language_of(path)
    if language is None:
        return None
    if language == "python":
        from flywheel.bootstrap.python_outlines import outline_python

        return outline_python(text)
    from flywheel.bootstrap.tree_outlines import outline_tree

    return outline_tree(language, text)
