"""Files of JSON lines that only grow: what a measurement keeps as it goes, so that a kill loses no whole line."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from flywheel.core.errors import ResourceError

_BATCH = 32
_CHUNK = 1 << 20


class Place(NamedTuple):
    """Where a line stands in its file."""

    offset: int
    length: int


class LineLog:
    """One file of lines. Every line is written at once; fsync comes in batches, when the owner has a moment for it."""

    def __init__(self, path: Path) -> None:
        """Open the file and drop a torn last line."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._name = path.name
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._unsynced = 0
        self._end = _whole_end(self._file)
        os.ftruncate(self._file, self._end)

    def lines(self) -> Iterator[tuple[Place, bytes]]:
        """Yield every whole line with its place, the first first."""
        yield from _lines(self._file, self._end)

    def read(self, place: Place) -> bytes:
        """Return the line that stands at a place."""
        return os.pread(self._file, place.length, place.offset)

    def write(self, line: bytes) -> Place:
        """Append one line, whole or not at all for those who read whole lines."""
        place = Place(self._end, len(line))
        try:
            if os.write(self._file, line + b"\n") != len(line) + 1:
                os.ftruncate(self._file, self._end)
                raise ResourceError(f"{self._name} could not be written to its end", "free disk space")
            self._end += len(line) + 1
            self._unsynced += 1
        except OSError as error:
            raise ResourceError(f"{self._name} cannot be written: {error.strerror}", "free disk space") from error
        return place

    def settle(self) -> None:
        """Sync when much was appended since the last time."""
        if self._unsynced >= _BATCH:
            self.sync()

    def sync(self) -> None:
        """Make what was appended survive a power cut."""
        try:
            os.fsync(self._file)
        except OSError as error:
            raise ResourceError(f"{self._name} cannot be written: {error.strerror}", "free disk space") from error
        self._unsynced = 0

    def close(self) -> None:
        """Sync and let go of the file."""
        self.sync()
        os.close(self._file)

    def __enter__(self) -> Self:
        """Return itself, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def whole_lines(path: Path) -> Iterator[bytes]:
    """Yield the whole lines of somebody else's file, which is left as it is; nothing where there is none."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        yield from (line for _, line in _lines(file, _whole_end(file)))
    finally:
        os.close(file)


def _lines(file: int, end: int) -> Iterator[tuple[Place, bytes]]:
    rest, at = b"", 0
    while at < end:
        data = os.pread(file, min(_CHUNK, end - at), at)
        if not data:
            return
        begin, at = at - len(rest), at + len(data)
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield Place(begin, len(line)), line
            begin += len(line) + 1


def _whole_end(file: int) -> int:
    """Return where the last whole line of a file ends."""
    at = os.fstat(file).st_size
    while at > 0:
        begin = max(0, at - _CHUNK)
        found = os.pread(file, at - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        at = begin
    return 0
