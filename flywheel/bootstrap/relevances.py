"""What of a tree a commit was about: the files and symbols it changed, those they lean on, and the rest. Pure.

What changed is primary. What a changed file imports, or a changed symbol uses, supports it. Of the rest only as many
are told as of both together, those nearest to what changed first: the far ones are no question.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from flywheel.bootstrap.dependencies import Tree, dependencies_of
from flywheel.bootstrap.mined_commits import FileChange, MinedCommit
from flywheel.bootstrap.outlines import Outline, Symbol, language_of, outline

Relevance = Literal["primary", "supporting", "rest"]
_MOST_SUPPORTING = 12
_MOST_REST = 12


class FileJudgement(NamedTuple):
    """A file of the tree, with what it was to the commit."""

    path: str
    relevance: Relevance


class SymbolJudgement(NamedTuple):
    """A symbol of the tree, with the file it stands in and what it was to the commit."""

    path: str
    symbol: Symbol
    relevance: Relevance


class Surroundings(NamedTuple):
    """The tree as far as the commit reaches: changed files with their outlines, files, symbols."""

    files: tuple[FileJudgement, ...]
    symbols: tuple[SymbolJudgement, ...]


def surroundings_of(commit: MinedCommit) -> Surroundings | None:
    """Return what the commit was about; None where none of its files was there before, in a language that is read."""
    changed = [(change, told) for change in commit.changes if (told := _outline(change)) is not None]
    if not changed:
        return None
    tree = Tree(commit.tree)
    paths = [change.old_path or "" for change, _ in changed]
    supporting = dict.fromkeys(
        file for (change, told) in changed for file in dependencies_of(change.old_path or "", told, tree)
    )
    near = [file for file in supporting if file not in paths][:_MOST_SUPPORTING]
    rest = _rest(paths, near, tree)
    files = [*(FileJudgement(path, "primary") for path in paths), *(FileJudgement(path, "supporting") for path in near),
             *(FileJudgement(path, "rest") for path in rest)]  # fmt: skip
    return Surroundings(tuple(files), tuple(_symbols(commit, changed, near)))


def _outline(change: FileChange) -> Outline | None:
    return outline(change.old_path, change.before) if change.old_path and change.before is not None else None


def _rest(changed: Sequence[str], near: Sequence[str], tree: Tree) -> list[str]:
    """Return other files of code, those with the most folders in common with a changed one first."""
    taken = {*changed, *near}
    others = [name for name in tree.names if name not in taken and language_of(name)]
    count = min(len(changed) + len(near), _MOST_REST)
    return sorted(others, key=lambda name: (-max(_shared(name, path) for path in changed), name))[:count]


def _symbols(
    commit: MinedCommit, changed: Sequence[tuple[FileChange, Outline]], near: Sequence[str]
) -> list[SymbolJudgement]:
    touched = [(change.old_path or "", symbol) for change, told in changed for symbol in _touched(change, told)]
    used = frozenset(name for _, symbol in touched for name in symbol.uses)
    others = [(change.old_path or "", symbol) for change, told in changed for symbol in told.symbols
              if (change.old_path, symbol) not in touched]  # fmt: skip
    for path in near:
        told = outline(path, commit.read(path) or "")
        others += [(path, symbol) for symbol in told.symbols] if told else []
    supporting = [one for one in others if one[1].short in used][:_MOST_SUPPORTING]
    rest = [one for one in others if one[1].short not in used][: min(len(touched) + len(supporting), _MOST_REST)]
    kinds: tuple[tuple[Relevance, list[tuple[str, Symbol]]], ...] = (
        ("primary", touched), ("supporting", supporting), ("rest", rest),
    )  # fmt: skip
    return [SymbolJudgement(path, symbol, relevance) for relevance, found in kinds for path, symbol in found]


def _touched(change: FileChange, told: Outline) -> list[Symbol]:
    """Return the innermost symbols of the old file on whose lines something changed."""
    lines = changed_lines(change.before or "", change.after or "")
    hit = [symbol for symbol in told.symbols if any(symbol.first <= line <= symbol.last for line in lines)]
    return [one for one in hit if not any(_is_inside(other, one) and _covers(other, one, lines) for other in hit)]


def _is_inside(one: Symbol, other: Symbol) -> bool:
    return one is not other and other.first <= one.first and one.last <= other.last and one != other


def _covers(inner: Symbol, outer: Symbol, lines: Sequence[int]) -> bool:
    """Tell whether all that changed in the outer symbol changed in symbols inside it, of which this is one."""
    return all(inner.first <= line <= inner.last for line in lines if outer.first <= line <= outer.last)


def changed_lines(before: str, after: str) -> list[int]:
    """Return the lines of the old text, from 1, that were changed or taken away, or in front of which lines came."""
    import difflib

    old, new = before.split("\n"), after.split("\n")
    found: list[int] = []
    for what, a, b, _, _ in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "insert":
            found.append(min(a + 1, len(old)))
        elif what != "equal":
            found += range(a + 1, b + 1)
    return found


def _shared(one: str, other: str) -> int:
    pairs = list(zip(one.split("/")[:-1], other.split("/")[:-1], strict=False))
    return next((number for number, (a, b) in enumerate(pairs) if a != b), len(pairs))
