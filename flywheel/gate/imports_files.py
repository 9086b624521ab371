"""The rows of a file that somebody else wrote: JSON lines, or one JSON document; packed by gzip or not.

Lines are read one at a time, whatever the size of the file. Nothing in a row is believed: one that cannot be read is
said and passed over, and what is no file of rows at all is refused in a sentence.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from flywheel.core.errors import MisuseError

LONGEST_LINE = 256 << 20
LARGEST_DOCUMENT = 512 << 20
_LISTS = ("data", "problems", "rows", "test")
_BOM = b"\xef\xbb\xbf"
_AS_LINES = "write it as JSON lines, one problem a line"

Say = Callable[[int, int], None]
"""How many bytes of how many were read."""


class Unreadable(NamedTuple):
    """A row that is none, and why."""

    reason: str


def rows_of(path: Path, say: Say) -> Iterator[Any]:
    """Yield the rows of a file, each as what JSON says or as unreadable."""
    with _opened(path) as (file, raw, total):
        begin = _peek(file, path)
        if begin.startswith(b"PAR1"):
            raise MisuseError(f"{path.name} is a Parquet file", _AS_LINES)
        if begin.lstrip(_BOM + b" \t\r\n").startswith(b"["):
            yield from _document(file, path)
            return
        first = file.readline(LONGEST_LINE)
        alone = not file.read(1)
        file.seek(len(first))
        if alone or (not isinstance(_read(first), dict) and begin.lstrip(_BOM + b" \t\r\n").startswith(b"{")):
            yield from _document(file, path, first)
            say(raw.tell(), total)
            return
        number, line = 0, first
        while line:
            number += 1
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                _skip(file)
                yield Unreadable(f"a row is longer than {LONGEST_LINE >> 20} MiB")
            elif line.strip():
                yield _read(line)
            say(raw.tell(), total)
            line = file.readline(LONGEST_LINE)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO, int]]:
    """Give the file's text as bytes, the file itself, and its size; faults on the way are said in one sentence."""
    try:
        if not path.is_file():
            raise MisuseError(f"{path} is no file", "name a file of problems")
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file: Any = gzip.GzipFile(fileobj=raw) if packed else raw
            yield file, raw, path.stat().st_size
    except (OSError, EOFError, zlib.error) as error:
        raise MisuseError(f"{path.name} cannot be read to its end: {error}", "check the file") from error


def _peek(file: BinaryIO, path: Path) -> bytes:
    begin = file.read(4096)
    file.seek(0)
    if not begin.strip():
        raise MisuseError(f"{path.name} is empty")
    if b"\0" in begin and not begin.startswith(b"PAR1"):
        raise MisuseError(f"{path.name} is no text", _AS_LINES)
    return begin


def _document(file: BinaryIO, path: Path, before: bytes = b"") -> Iterator[Any]:
    """Yield the rows of one JSON document: a list, a list below a usual name, or the values of an object."""
    data = before + file.read(LARGEST_DOCUMENT + 1 - len(before))
    if len(data) > LARGEST_DOCUMENT:
        raise MisuseError(f"{path.name} is one JSON document of more than {LARGEST_DOCUMENT >> 20} MiB", _AS_LINES)
    value = _read(data)
    if isinstance(value, Unreadable):
        raise MisuseError(f"{path.name} is neither JSON nor JSON lines", _AS_LINES)
    if isinstance(value, dict):
        lists = [value[name] for name in _LISTS if isinstance(value.get(name), list)]
        several = bool(value) and all(isinstance(one, dict) for one in value.values())
        value = lists[0] if lists else list(value.values()) if several else [value]
    yield from value if isinstance(value, list) else [value]


def _read(line: bytes) -> Any:
    try:
        return json.loads(line.removeprefix(_BOM), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return Unreadable("a row is no JSON")


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _skip(file: BinaryIO) -> None:
    while (rest := file.readline(1 << 20)) and not rest.endswith(b"\n"):
        pass
