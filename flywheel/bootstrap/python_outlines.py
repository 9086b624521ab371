"""The outline of a Python file, by Python's own parser. Pure."""

import ast
from collections.abc import Iterator, Sequence

from flywheel.bootstrap.linters import parse
from flywheel.bootstrap.outlines import Kind, Outline, Symbol

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_LONGEST_DOC = 200


def outline_python(text: str) -> Outline | None:
    """Return what a file holds; None when it does not parse."""
    try:
        tree = parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    lines = text.split("\n")
    return Outline("python", tuple(_symbols(tree.body, "", lines)), tuple(dict.fromkeys(_imports(tree))))


def _symbols(body: Sequence[ast.stmt], inside: str, lines: Sequence[str]) -> Iterator[Symbol]:
    for node in body:
        if isinstance(node, _Function):
            yield _symbol(node, inside, "method" if inside else "function", lines)
        elif isinstance(node, ast.ClassDef):
            yield _symbol(node, inside, "class", lines)
            yield from _symbols(node.body, f"{inside}{node.name}.", lines)
        elif isinstance(node, ast.If | ast.Try):
            yield from _symbols([*node.body, *node.orelse], inside, lines)
        elif not inside:
            yield from _values(node, lines)


def _symbol(node: _Function | ast.ClassDef, inside: str, kind: Kind, lines: Sequence[str]) -> Symbol:
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    doc = (ast.get_docstring(node) or "").partition("\n\n")[0][:_LONGEST_DOC]
    head = _head(node, lines)
    return Symbol(
        f"{inside}{node.name}", kind, first, node.end_lineno or node.lineno, head, _names(node) - {node.name}, doc
    )


def _head(node: _Function | ast.ClassDef, lines: Sequence[str]) -> str:
    """Return a definition up to its body, on one line."""
    last = max(node.lineno, node.body[0].lineno - 1) if node.body[0].lineno > node.lineno else node.lineno
    head = " ".join(line.strip() for line in lines[node.lineno - 1 : last])
    return head.partition('"""')[0].strip()[:_LONGEST_DOC]


def _values(node: ast.stmt, lines: Sequence[str]) -> Iterator[Symbol]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    for target in targets:
        if isinstance(target, ast.Name):
            head = lines[node.lineno - 1].strip()[:_LONGEST_DOC]
            yield Symbol(
                target.id, "value", node.lineno, node.end_lineno or node.lineno, head, _names(node) - {target.id}
            )


def _names(node: ast.AST) -> frozenset[str]:
    found = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return frozenset(found | {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)})


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            before = module if module.endswith(".") else f"{module}."
            yield from (f"{before}{one.name}" for one in node.names if one.name != "*")
