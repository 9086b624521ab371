"""Which commits made the handling of errors better: told from a Python file before and after. Pure."""

import ast

from flywheel.bootstrap.handler_counts import Counts, count
from flywheel.bootstrap.linters import parse

OWN_ERROR = "generic raise became an error of its own"
NARROWED = "bare except was narrowed"
LESS_BLIND = "blind except was narrowed"
CHAINED = "the cause is passed on"
NOT_SWALLOWED = "an error is no longer swallowed"
_GENERIC = frozenset({"Exception", "BaseException", "RuntimeError"})


def improvements_of(before: str, after: str) -> tuple[str, ...]:
    """Return what became better between two versions of a file; nothing where one of them is no Python.

    Each is told only where the thing that was bad became fewer and the thing that is good did not: code that was taken
    away altogether improved nothing.
    """
    try:
        old, new = count(before), count(after)
        old_raises, new_raises = _raises(before), _raises(after)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    kept = new.specific > old.specific
    found = {
        OWN_ERROR: new_raises[0] < old_raises[0] and new_raises[1] > old_raises[1],
        NARROWED: new.bare < old.bare and kept,
        LESS_BLIND: new.blind - new.bare < old.blind - old.bare and kept,
        CHAINED: new.raises_from > old.raises_from and _unchained(new) < _unchained(old),
        NOT_SWALLOWED: new.passing < old.passing and new.handlers >= old.handlers,
    }
    return tuple(name for name, holds in found.items() if holds)


def _unchained(counts: Counts) -> int:
    return counts.raises_in_handlers - counts.raises_from


def _raises(text: str) -> tuple[int, int]:
    """Return how many raises are of a generic error, and how many of another one."""
    names = [_raised(node) for node in ast.walk(parse(text)) if isinstance(node, ast.Raise) and node.exc is not None]
    generic = sum(name in _GENERIC for name in names)
    return generic, len(names) - generic


def _raised(node: ast.Raise) -> str:
    error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return error.id if isinstance(error, ast.Name) else error.attr if isinstance(error, ast.Attribute) else ""
