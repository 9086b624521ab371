"""The forked process of one test, up to the moment where it becomes the judged code."""

import gc
import io
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from . import performances, walls

_ERRORS, _WORD = 2, 3
_PATH = "/usr/local/bin:/usr/bin:/bin"
_BROKEN = 70
_DESCRIPTORS = 1 << 20


def is_command(trial: Mapping[str, Any]) -> bool:
    """Tell whether a trial runs a program of its own instead of code in this interpreter."""
    return bool(trial["kind"] == "command")


def live(trial: dict[str, Any], put_up: walls.Walls, folder: str, descriptors: tuple[int, ...]) -> NoReturn:
    """Become the test: descriptors in place, walls on, no other descriptors, then the judged code; never returns."""
    status = _BROKEN
    try:
        _take_places(descriptors, merged=is_command(trial))
        _take_signals(program=is_command(trial))
        walls.end_with_parent()
        try:
            put_up.put_on(trial)
        except OSError as error:
            say({"walls": str(error)})
            os._exit(_BROKEN)
        os.closerange(_WORD + 1, _DESCRIPTORS)
        status = _command(trial, folder) if is_command(trial) else _code(trial, folder)
    finally:
        os._exit(status)


def _take_signals(*, program: bool) -> None:
    """Let signals mean what they mean to an interpreter of its own, or to a program that has just been started."""
    for number in (signal.SIGTERM, signal.SIGHUP, *((signal.SIGPIPE, signal.SIGXFSZ) if program else ())):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL if program else signal.default_int_handler)


def say(word: dict[str, Any]) -> None:
    """Tell the fork server something about this test."""
    rest = memoryview(json.dumps(word).encode())
    while rest:
        rest = rest[os.write(_WORD, rest) :]


def _code(trial: dict[str, Any], folder: str) -> int:
    gc.enable()
    sys.path.insert(0, folder)
    _open_streams()
    return performances.perform(trial, say)


def _command(trial: dict[str, Any], folder: str) -> int:
    argv = list(trial["argv"])
    if walls.is_python(argv):
        argv[:1] = [sys.executable, "-s", "-B"]  # by its whole path: it finds its library from there
    found = _found(argv[0])
    environment = {
        "PATH": _PATH, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1", "MALLOC_ARENA_MAX": "1", "NO_COLOR": "1",
    }  # fmt: skip
    if found is None:
        say({"raised": f"there is no program {argv[0]!r} in the box"})
        return 127
    os.set_inheritable(_WORD, bool(trial["entry"]))
    try:
        os.execve(found, argv, environment)  # noqa: S606 - a command is a list, and no shell's
    except OSError as error:
        say({"raised": f"{argv[0]}: {error.strerror}"})
        return 126


def _found(name: str) -> str | None:
    """Return the path of a program in the box."""
    places = [name] if "/" in name else [f"{folder}/{name}" for folder in _PATH.split(":")]
    return next((place for place in places if os.access(place, os.X_OK)), None)


def _take_places(descriptors: tuple[int, ...], *, merged: bool) -> None:
    """Put standard input, output, errors and the word on 0 to 3, where the fork server holds none of its own."""
    output = descriptors[1]
    for place, descriptor in enumerate(descriptors):
        os.dup2(output if merged and place == _ERRORS else descriptor, place)


def _open_streams() -> None:
    sys.stdin = sys.__stdin__ = _stream(0, "r")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1, "w")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, "w")  # type: ignore[misc]


def _stream(descriptor: int, mode: str) -> io.TextIOWrapper:
    """Return a text stream as Python opens its own: UTF-8, standard errors line by line."""
    raw = io.FileIO(descriptor, mode, closefd=False)
    buffered: Any = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
    errors = "backslashreplace" if descriptor == _ERRORS else "surrogateescape"
    return io.TextIOWrapper(buffered, encoding="utf-8", errors=errors, line_buffering=descriptor == _ERRORS)
