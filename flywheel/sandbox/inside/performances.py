"""The last thing before the judged code: one test, performed in the process that is its own.

Whatever this process says of itself is believed only as much as the judged code is: a value told here is the value
that the code returned, whoever forged it. What was expected is never in this process.
"""

import atexit
import builtins
import io
import json
import sys
import threading
import traceback
import types
from collections.abc import Callable, Mapping
from typing import Any

#: How much of a reason is kept.
DETAIL = 500
_FILE = "solution.py"
#: What LeetCode-like sites have imported before a class `Solution` is read.
_PRELUDE = """
from typing import *
from collections import *
from functools import *
from itertools import *
from heapq import *
from bisect import *
from string import *
from math import *
del pow
import bisect, collections, copy, functools, heapq, itertools, math, operator, random, re, string
"""

Say = Callable[[dict[str, Any]], None]


def perform(test: Mapping[str, Any], say: Say) -> int:
    """Run one test to its end; says what it raised or returned, and returns the exit status."""
    sys.set_int_max_str_digits(0)
    sys.argv = [_FILE]
    _open_standard_names()
    streams = (sys.stdout, sys.stderr)
    try:
        return _performed(test, say)
    except SystemExit as leaving:
        return _left(leaving, test, say)
    except BaseException as error:  # noqa: BLE001 - the judged code may raise anything; it ends here
        say({"raised": _told(error)})
        return 1
    finally:
        _flush(sys.stdout, *streams)


def _performed(test: Mapping[str, Any], say: Say) -> int:
    """Run the test as an interpreter of its own would: its threads are waited for, what it left for the end is done."""
    try:
        return _call(test, say) if test.get("call") is not None else _script(test)
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - what the interpreter itself does last
        atexit._run_exitfuncs()  # noqa: SLF001


def _script(test: Mapping[str, Any]) -> int:
    exec(_compiled(test["code"]), _module("__main__").__dict__)  # noqa: S102 - running it is the purpose of this process
    return 0


def _call(test: Mapping[str, Any], say: Say) -> int:
    names = _module("solution").__dict__
    entry: str = test["entry"]
    if entry.startswith("Solution."):
        exec(_PRELUDE, names)  # noqa: S102 - our own words
    exec(_compiled(test["code"]), names)  # noqa: S102 - running it is the purpose of this process
    call = test["call"]
    value = _awaited(_entry(names, entry)(*call["args"], **call["kwargs"]))
    say({"value": value_text(value)})
    return 0


def _entry(names: dict[str, Any], entry: str) -> Callable[..., Any]:
    """Return the function to call: a name, a method of a class made without arguments, or one of class Solution."""
    first, _, rest = entry.partition(".")
    if not rest and first not in names and hasattr(names.get("Solution"), first):
        first, rest = "Solution", first
    if first not in names:
        raise NameError(f"the code defines no {entry}")
    found: Any = names[first]
    for name in rest.split(".") if rest else ():
        found = getattr(found() if isinstance(found, type) else found, name)
    if not callable(found):
        raise TypeError(f"{entry} is not a function")
    return found  # type: ignore[no-any-return]


def _awaited(value: Any) -> Any:
    if isinstance(value, types.CoroutineType):
        import asyncio

        return asyncio.run(value)
    return value


def value_text(value: Any) -> str:
    """Return a value as JSON text: tuples as lists, sets as sorted lists, iterators run out; TypeError for the rest."""
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value, key=lambda item: (type(item).__name__, json.dumps(item, default=_plain)))
    if isinstance(value, str | bytes | dict):
        raise TypeError(f"a value of type {type(value).__name__} cannot be said as JSON")
    if hasattr(value, "__iter__"):
        return list(value)
    raise TypeError(f"a value of type {type(value).__name__} cannot be said as JSON")


def _left(leaving: SystemExit, test: Mapping[str, Any], say: Say) -> int:
    code = leaving.code
    if test.get("call") is not None:
        say({"raised": f"SystemExit: {code}"})
        return 1
    if code is None or code == 0:
        return 0
    say({"raised": f"SystemExit: {code}"})
    return code if isinstance(code, int) and 0 < code < 256 else 1  # noqa: PLR2004 - an exit status is a byte


def _told(error: BaseException) -> str:
    """Return an error as one line: its kind, its words, and the line of the judged code that it came from."""
    try:
        words = str(error)
    except Exception:  # noqa: BLE001 - the judged code's own __str__ may raise anything
        words = "?"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _FILE]
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else (lines[-1] if lines else None)
    where = f" (line {line})" if line else ""
    return f"{type(error).__name__}: {words}"[:DETAIL] + where


def _compiled(code: str) -> types.CodeType:
    return compile(code, _FILE, "exec", dont_inherit=True)


def _module(name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__["__file__"] = _FILE
    sys.modules[name] = module
    return module


def _open_standard_names() -> None:
    """Let a program open /dev/stdin and its like by name: they lead through /proc, which is not there."""
    ours = builtins.open
    known = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}

    def opened(file: Any, *args: Any, **kwargs: Any) -> Any:
        number = known.get(file) if isinstance(file, str) else None
        return ours(file, *args, **kwargs) if number is None else ours(number, *args, **{**kwargs, "closefd": False})

    builtins.open = opened
    io.open = opened


def _flush(*streams: Any) -> None:
    for stream in streams:
        try:
            stream.flush()
        except Exception:  # noqa: BLE001, S112 - the judged code may have put anything there, or closed it
            continue
