"""Reading a file of JSON lines that somebody may be writing: what is whole is read, a torn last line waits."""

import json
import math
import os
import stat
from pathlib import Path
from typing import Any, NamedTuple

from flywheel.core.ids import bytes_hash, short
from flywheel.sources.readings import Refusal

LARGEST_FILE = 32_000_000  # bytes; a run that says more than this is a mistake, and would fill our memory
_DEEPEST = 60  # no record of an agent nests deeper; whoever prints or compares such a value would run out of stack


class Line(NamedTuple):
    """One object: the number of its line and its value."""

    number: int
    value: dict[str, Any]

    @property
    def kind(self) -> str:
        """Return the type that the object names, if it is a text."""
        kind = self.value.get("type")
        return kind if isinstance(kind, str) else ""


class FileState(NamedTuple):
    """What tells one state of a file from another."""

    inode: int
    size: int
    changed: int


class LinesRead(NamedTuple):
    """A file's objects in order, what could not be read of it, and the state it was in."""

    lines: tuple[Line, ...]
    refusals: tuple[Refusal, ...]
    state: FileState | None


def state_of(status: os.stat_result) -> FileState:
    """Return the state of a file; its change time cannot be set by a program, unlike its modification time."""
    return FileState(status.st_ino, status.st_size, status.st_ctime_ns)


def read_lines(path: Path, name: str) -> LinesRead:
    """Read the file; whatever stands there that is no object is refused by name and the rest goes on."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not hold us
    except FileNotFoundError:
        return LinesRead((), (), None)  # it went since we looked
    except OSError as error:
        return LinesRead((), (_refused(name, "unreadable", f"cannot be opened: {error.strerror}"),), None)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        state = state_of(status)
        if not stat.S_ISREG(status.st_mode):
            return LinesRead((), (_refused(name, "not-a-file", "is not a regular file"),), state)
        if status.st_size > LARGEST_FILE:
            return LinesRead((), (_refused(name, "too-large", f"is larger than {LARGEST_FILE} bytes"),), state)
        try:
            content = file.read(LARGEST_FILE + 1)
        except OSError as error:
            return LinesRead((), (_refused(name, "unreadable", f"cannot be read: {error.strerror}"),), None)
    lines, refusals = parse_lines(content, name)
    return LinesRead(lines, refusals, state)


def parse_lines(content: bytes, name: str) -> tuple[tuple[Line, ...], tuple[Refusal, ...]]:
    """Return the objects, and what is none; a last line without its end counts only when it is whole."""
    lines: list[Line] = []
    refusals: list[Refusal] = []
    raws = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    for number, raw in enumerate(raws, 1):
        if not raw.strip():
            continue
        value = _object(raw)
        if isinstance(value, dict):
            lines.append(Line(number, value))
        elif number < len(raws):  # the last piece is still being written
            refusals.append(
                Refusal(row=f"{name}:{number}:{_digest(raw)}", rule=value, reason=f"{name} line {number} {_WHY[value]}")
            )
    return tuple(lines), tuple(refusals)


_WHY = {
    "not-utf8": "is not valid UTF-8",
    "not-json": "is not JSON",
    "not-object": "is not an object",
    "too-deep": "nests too deep",
}


def _object(raw: bytes) -> dict[str, Any] | str:
    """Return the object, or the rule it breaks."""
    try:
        value = json.loads(raw.decode(), parse_constant=_nothing, parse_float=_finite)
    except UnicodeDecodeError:
        return "not-utf8"
    except RecursionError:
        return "too-deep"
    except ValueError:
        return "not-json"
    if not isinstance(value, dict):
        return "not-object"
    return "too-deep" if raw.count(b"[") + raw.count(b"{") > _DEEPEST and _too_deep(value) else value


def _nothing(_: str) -> None:
    """Read what is no JSON number (NaN, Infinity) as nothing: not every database takes it."""


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _too_deep(value: object) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for held in level
            for inner in (held.values() if isinstance(held, dict) else held if isinstance(held, list) else ())
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _refused(name: str, rule: str, reason: str) -> Refusal:
    return Refusal(row=name, rule=rule, reason=f"{name} {reason}")


def _digest(raw: bytes) -> str:
    return short(bytes_hash([raw]))
