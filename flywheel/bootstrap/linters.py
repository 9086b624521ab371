"""What a linter alone can say against a piece of Python: it does not parse, or uses what is not there. Pure."""

import ast
import re
import warnings
from collections.abc import Sequence

_BLOCK = re.compile(r"on line (\d+)")  # a block that is missing is told at the line after the one that wants it
# Errors, not taste: what is written but not used yet is how code looks while it is being written.
_ERRORS = (
    "BreakOutsideLoop", "ContinueOutsideLoop", "DefaultExceptNotLast", "DuplicateArgument", "FutureFeatureNotDefined",
    "LateFutureImport", "ReturnOutsideFunction", "TooManyExpressionsInStarredAssignment", "TwoStarredExpressions",
    "UndefinedExport", "UndefinedLocal", "UndefinedName", "YieldOutsideFunction",
)  # fmt: skip


def parse(text: str) -> ast.Module:
    """Return the tree; raises SyntaxError, ValueError or RecursionError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # of somebody else's code
        return ast.parse(text)


def faults(text: str) -> list[int]:
    """Return the lines, from 1, that are wrong; none when the linter has nothing to say."""
    try:
        tree = parse(text)
    except SyntaxError as error:
        told = _BLOCK.search(error.msg or "")
        return [int(told[1]) if told else error.lineno or 1]
    return _wrong(tree)


def statements(text: str) -> list[tuple[int, int]]:
    """Return the first and last line of every statement, decorators included; raises what `parse` raises."""
    return [_span(node) for node in ast.walk(parse(text)) if isinstance(node, ast.stmt)]


def smallest_around(spans: Sequence[tuple[int, int]], line: int) -> tuple[int, int]:
    """Return the smallest span around a line; the line alone where there is none."""
    around = [span for span in spans if span[0] <= line <= span[1]]
    return min(around, key=lambda span: span[1] - span[0], default=(line, line))


def _span(node: ast.stmt) -> tuple[int, int]:
    decorated = [one.lineno for one in getattr(node, "decorator_list", ())]
    return min([node.lineno, *decorated]), node.end_lineno or node.lineno


def _wrong(tree: ast.Module) -> list[int]:
    from pyflakes import messages
    from pyflakes.checker import Checker

    errors = tuple(getattr(messages, name) for name in _ERRORS)
    return [one.lineno for one in Checker(tree).messages if isinstance(one, errors)]
