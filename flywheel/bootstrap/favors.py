"""What a commit preferred: a function as it became, to the function as it was. Both answer the same question. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from flywheel.bootstrap.improvements import improvements_of
from flywheel.bootstrap.mined_commits import FileChange, MinedCommit
from flywheel.bootstrap.outlines import Outline, Symbol, outline

MOST = 3  # of one commit
_CODE = frozenset({"function", "method"})
_LONGEST = 8_000


class Favor(NamedTuple):
    """One function before and after; `improves` says what of its errors is handled better now."""

    path: str
    symbol: Symbol
    before: str
    after: str
    improves: tuple[str, ...]


def favors_of(commit: MinedCommit) -> list[Favor]:
    """Return the functions that a commit wrote anew, those first whose errors are handled better now."""
    found = [favor for change in commit.changes for favor in _of_file(change)]
    return sorted(found, key=lambda one: (not one.improves, one.path, one.symbol.first))[:MOST]


def _of_file(change: FileChange) -> Iterator[Favor]:
    old = outline(change.old_path or "", change.before or "")
    new = outline(change.new_path or "", change.after or "")
    if old is None or new is None:
        return
    was = _functions(old, change.before or "")
    for name, (symbol, after) in _functions(new, change.after or "").items():
        before = was[name][1] if name in was else after
        if before.split() != after.split() and max(len(before), len(after)) <= _LONGEST:
            better = improvements_of(_alone(before), _alone(after)) if new.language == "python" else ()
            yield Favor(change.path, symbol, before, after, better)


def _functions(told: Outline, text: str) -> dict[str, tuple[Symbol, str]]:
    """Return the functions that have a name of their own, each with its lines; of two of one name neither."""
    lines = text.split("\n")
    found: dict[str, tuple[Symbol, str]] = {}
    twice = {one.name for number, one in enumerate(told.symbols) if one.name in {s.name for s in told.symbols[:number]}}
    for symbol in told.symbols:
        if symbol.kind in _CODE and symbol.name not in twice:
            found[symbol.name] = symbol, "\n".join(lines[symbol.first - 1 : symbol.last])
    return found


def _alone(code: str) -> str:
    """Return a function as a file of its own: without what stands in front of all its lines."""
    import textwrap

    return textwrap.dedent(code)
