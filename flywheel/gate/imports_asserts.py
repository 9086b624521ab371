"""Turning the asserts of a `check(candidate)` into calls and the values they must return. Pure; nothing is run.

Only what is written out counts: `assert candidate(1, [2]) == 3`. A loop, a tolerance, a value that has to be worked
out: each is left out and counted, because here nothing is worked out.
"""

import ast
import math
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from flywheel.core.foreign_rows import BadRowError

NOT_WRITTEN_OUT = "an assert that is no comparison of a call with a literal value"
NEARLY = "an assert with a tolerance"
TRUTH_ONLY = "an assert that asks for any true value"
NOT_JSON = "an assert with values that JSON cannot hold"
NO_ASSERT = "a statement that is no assert"
_LONGEST = 1_000_000
_DEEPEST = 50


class Asserted(NamedTuple):
    """The calls that were found, and how many asserts were left out, by reason."""

    calls: list[dict[str, Any]]
    left_out: Counter[str]


class _LeftOutError(Exception):
    """This assert becomes no call."""


def calls_of(source: str) -> Asserted:
    """Return the calls that a `check` function makes of its first argument."""
    check = _check(source)
    candidate = check.args.args[0].arg
    calls: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for statement in _statements(check):
        try:
            found = _call(statement, candidate)
        except _LeftOutError as error:
            left_out[str(error)] += 1
        else:
            calls += found
    return Asserted(calls, left_out)


def _check(source: str) -> ast.FunctionDef:
    if len(source) > _LONGEST:
        raise BadRowError("its tests are too long")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadRowError("its tests are no Python") from error
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "check" and node.args.args:
            return node
    raise BadRowError("its tests define no check(candidate)")


def _statements(check: ast.FunctionDef) -> Iterator[ast.stmt]:
    """Yield what is tested; texts that stand alone, and asserts of a plain true, say nothing."""
    for statement in check.body:
        if isinstance(statement, ast.Pass) or (
            isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        ):
            continue
        if isinstance(statement, ast.Assert) and isinstance(statement.test, ast.Constant) and statement.test.value:
            continue
        yield statement


def _call(statement: ast.stmt, candidate: str) -> list[dict[str, Any]]:
    if not isinstance(statement, ast.Assert):
        raise _LeftOutError(NO_ASSERT)
    test = statement.test
    if _calls(test, candidate) or (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
        raise _LeftOutError(TRUTH_ONLY)
    if _is_near(test):
        raise _LeftOutError(NEARLY)
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        raise _LeftOutError(NOT_WRITTEN_OUT)
    left, right = test.left, test.comparators[0]
    call, value = (left, right) if _calls(left, candidate) else (right, left)
    if not _calls(call, candidate) or not isinstance(call, ast.Call):
        raise _LeftOutError(NOT_WRITTEN_OUT)
    if not isinstance(test.ops[0], ast.Eq) and not (isinstance(test.ops[0], ast.Is) and _is_single(value)):
        raise _LeftOutError(NOT_WRITTEN_OUT)
    return [_test(call, value)]


def _is_near(test: ast.expr) -> bool:
    """Tell whether an assert compares with a tolerance: `abs(candidate(1) - 2) < 1e-6`, or by a function for it."""
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Lt | ast.LtE):
        test = test.left
        return isinstance(test, ast.Call) and isinstance(test.func, ast.Name) and test.func.id == "abs"
    called = test.func if isinstance(test, ast.Call) else None
    return getattr(called, "attr", getattr(called, "id", "")) in {"isclose", "allclose"}


def _is_single(value: ast.expr) -> bool:
    """Tell whether a value is one of those of which there is but one."""
    return isinstance(value, ast.Constant) and (value.value is None or isinstance(value.value, bool))


def _test(call: ast.Call, value: ast.expr) -> dict[str, Any]:
    if any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in call.keywords):
        raise _LeftOutError(NOT_WRITTEN_OUT)
    given = {str(one.arg): _plain(_literal(one.value), tuples=False) for one in call.keywords}
    test: dict[str, Any] = {"args": [_plain(_literal(one), tuples=False) for one in call.args]}
    # A returned tuple is told as a list; a tuple that is given would arrive as a list, which is another thing.
    return {**test, **({"kwargs": given} if given else {}), "returns": _plain(_literal(value), tuples=True)}


def _calls(node: ast.expr, candidate: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == candidate


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise _LeftOutError(NOT_WRITTEN_OUT) from error


def _plain(value: Any, *, tuples: bool, depth: int = 0) -> Any:
    """Return a value as JSON holds it."""
    if isinstance(value, list) or (tuples and isinstance(value, tuple)):
        items = [_plain(one, tuples=tuples, depth=depth + 1) for one in value] if depth < _DEEPEST else None
        if items is not None:
            return items
    elif isinstance(value, dict) and depth < _DEEPEST and all(isinstance(key, str) for key in value):
        return {key: _plain(one, tuples=tuples, depth=depth + 1) for key, one in value.items()}
    elif value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise _LeftOutError(NOT_JSON)
