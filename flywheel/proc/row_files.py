"""The rows of a file that somebody else wrote: JSON lines, or one JSON document; packed by gzip or not.

Lines are read one at a time, whatever the size of the file. Nothing in a row is believed: one that cannot be read is
said and passed over, and what is no file of rows at all is refused in a sentence.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from flywheel.core.errors import MisuseError

LONGEST_LINE = 256 << 20
LARGEST_DOCUMENT = 512 << 20
_LISTS = ("data", "problems", "rows", "test")
_BOM = b"\xef\xbb\xbf"
_AS_LINES = "write it as JSON lines, one problem a line"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_LINES_TO_KNOW, _ROWS_TO_KNOW = 8, 2
PARQUET = b"PAR1"  # what such a file begins with

Say = Callable[[int, int], None]
"""How many bytes of how many were read."""


class Unreadable(NamedTuple):
    """A row that is none, and why."""

    reason: str


def rows_of(path: Path, say: Say, skip: int = 0) -> Iterator[Any]:
    """Yield the rows of a file behind so many, each as what JSON says or as unreadable."""
    with _opened(path) as (file, raw, total):
        begin = _peek(file, path)
        if begin.startswith(PARQUET):
            raise MisuseError(f"{path.name} is a Parquet file", _AS_LINES)
        if begin.startswith(_ZSTANDARD):
            raise MisuseError(f"{path.name} is packed by Zstandard", f"unpack it: zstd -d {path.name}")
        if begin.lstrip(_BOM + b" \t\r\n").startswith(b"["):
            yield from islice(_document(file, path), skip, None)
            return
        first = file.readline(LONGEST_LINE)
        if _is_document(file, first, begin):
            yield from islice(_document(file, path, first), skip, None)
            say(raw.tell(), total)
            return
        for number, line in enumerate(_lines(file, first)):
            if number >= skip:
                yield _read(line)
                say(raw.tell(), total)


def _is_document(file: BinaryIO, first: bytes, begin: bytes) -> bool:
    """Tell whether a file is one JSON document, by its first line and those that follow; leaves the file behind it."""
    broken = not isinstance(_read(first), dict) and begin.lstrip(_BOM + b" \t\r\n").startswith(b"{")
    alone = not file.read(1)
    file.seek(len(first))
    if alone or not broken:
        return alone
    rows = sum(isinstance(_read(file.readline(LONGEST_LINE)), dict) for _ in range(_LINES_TO_KNOW))
    file.seek(len(first))
    # Of a document's lines the last of a list may be an object by itself; of rows behind a broken one nearly all are.
    return rows < _ROWS_TO_KNOW


def begins_with(path: Path, mark: bytes) -> bool:
    """Tell whether a file begins so; one that is not there, or no file, does not."""
    try:
        with path.open("rb") as file:
            return file.read(len(mark)) == mark
    except OSError:
        return False


def _lines(file: BinaryIO, line: bytes) -> Iterator[bytes | Unreadable]:
    """Yield the lines that say something, from one that was read already; one that is too long is unreadable."""
    while line:
        if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            _pass_over(file)
            yield Unreadable(f"a row is longer than {LONGEST_LINE >> 20} MiB")
        elif line.strip():
            yield line
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


def _read(line: bytes | Unreadable) -> Any:
    if isinstance(line, Unreadable):
        return line
    try:
        return json.loads(line.removeprefix(_BOM), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return Unreadable("a row is no JSON")


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _pass_over(file: BinaryIO) -> None:
    while (rest := file.readline(1 << 20)) and not rest.endswith(b"\n"):
        pass
