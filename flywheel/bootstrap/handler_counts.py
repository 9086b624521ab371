"""Counts what a Python file does about errors: swallows them, names them, raises them, passes them on. Pure."""

import ast
from collections.abc import Iterator
from typing import NamedTuple

_BLIND = frozenset({"Exception", "BaseException"})
_RAISES = (ast.Raise, ast.Assert)


class Counts(NamedTuple):
    """What was seen in one file or many; two of them are added field by field."""

    lines: int = 0
    handlers: int = 0
    bare: int = 0
    blind: int = 0
    passing: int = 0
    specific: int = 0
    subscripts: int = 0
    gets: int = 0
    asserts: int = 0
    raises: int = 0
    raises_in_handlers: int = 0
    raises_from: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Return both together."""
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))


def count(source: str) -> Counts:
    """Return what a file holds; raises SyntaxError or ValueError where it is no Python of ours."""
    tree = ast.parse(source)
    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    raises = [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    again = [node for handler in handlers for node in _own(handler.body) if isinstance(node, ast.Raise) and node.exc]
    return Counts(
        lines=len(_code_lines(tree)),
        handlers=len(handlers),
        bare=sum(handler.type is None for handler in handlers),
        blind=sum(_is_blind(handler) for handler in handlers),
        passing=sum(_does_nothing(handler.body) for handler in handlers),
        specific=sum(handler.type is not None and not _names(handler.type) & _BLIND for handler in handlers),
        subscripts=sum(_is_subscript(node) for node in ast.walk(tree)),
        gets=sum(_is_get(node) for node in ast.walk(tree)),
        asserts=sum(isinstance(node, ast.Assert) for node in ast.walk(tree)),
        raises=len(raises),
        raises_in_handlers=len(again),
        raises_from=sum(node.cause is not None for node in again),
    )


def _code_lines(tree: ast.Module) -> set[int]:
    """Return the lines on which something stands that is neither blank, nor comment, nor docstring."""
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and _is_text(node.value)}
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and id(node.value) in told:
            continue
        if isinstance(node, ast.stmt | ast.ExceptHandler):
            lines.add(node.lineno)
        elif isinstance(node, ast.expr) and id(node) not in told:
            lines.update((node.lineno, node.end_lineno or node.lineno))
    return lines


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_blind(handler: ast.ExceptHandler) -> bool:
    """Tell whether a handler takes everything and lets none of it go on."""
    if handler.type is not None and not _names(handler.type) & _BLIND:
        return False
    return not any(isinstance(node, _RAISES) for node in _own(handler.body))


def _names(node: ast.expr) -> set[str]:
    """Return the last parts of the names of the errors that are caught."""
    if isinstance(node, ast.Tuple):
        return {name for one in node.elts for name in _names(one)}
    return {node.id} if isinstance(node, ast.Name) else {node.attr} if isinstance(node, ast.Attribute) else set()


def _own(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield what stands in a body, without what stands in functions and handlers inside it."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef | ast.ExceptHandler):
            waiting += ast.iter_child_nodes(node)


def _does_nothing(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(node, ast.Pass | ast.Continue)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in body
    )


def _is_subscript(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _is_text(node.slice)


def _is_get(node: ast.AST) -> bool:
    """Tell whether a node is `d.get("k")`, with or without something instead."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"):
        return False
    return 1 <= len(node.args) <= 2 and _is_text(node.args[0])  # noqa: PLR2004 - key and default
