"""The files of a dataset as rows, one at a time: JSON lines, packed or not, or Parquet through the train environment.

Only the columns that a reader asks for are kept: a row of JSON and the same row of Parquet are then the same.
"""

import json
import os
import subprocess
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from flywheel.core.errors import MisuseError
from flywheel.core.ids import bytes_hash
from flywheel.proc.row_files import PARQUET, Unreadable, begins_with, rows_of

_JOB = Path(__file__).parent.parent / "jobs" / "parquet_rows.py"
_ENV = {"OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system", "PYTHONUNBUFFERED": ""}
_END_SECONDS = 20
_EDGE = 1 << 20

Say = Callable[[int, int], None]
"""How much of how much of a file was read: bytes, or rows."""


class Columns(NamedTuple):
    """How files are read: which columns, and the interpreter that knows Parquet."""

    names: tuple[str, ...]
    python: Path


def print_of(path: Path) -> str:
    """Return what tells a file from others, and from itself when it was written anew: its size, and both its ends."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            ends = [str(size).encode(), file.read(_EDGE)]
            file.seek(max(0, size - _EDGE))
            return bytes_hash([*ends, file.read(_EDGE)])
    except OSError as error:
        raise MisuseError(f"{path} cannot be read: {error.strerror}", "name the dataset's files") from error


def dataset_rows(
    path: Path, columns: Columns, skip: int, say: Say
) -> Generator[dict[str, Any] | Unreadable, None, None]:
    """Yield the rows of a file behind so many, each with the columns that are wanted."""
    parquet = begins_with(path, PARQUET)
    rows = _parquet_rows(path, columns, skip, say) if parquet else rows_of(path, say, skip)
    for row in rows:
        yield _kept(row, columns.names)


def _kept(row: Any, names: Collection[str]) -> dict[str, Any] | Unreadable:
    if isinstance(row, Unreadable):
        return row
    if not isinstance(row, dict):
        return Unreadable("a row is no object")
    return {name: row[name] for name in names if name in row}


def _parquet_rows(path: Path, columns: Columns, skip: int, say: Say) -> Iterator[Any]:
    if not columns.python.exists():
        raise MisuseError(
            f"{path.name} is a Parquet file, and the train environment that reads it is not there",
            "flywheel env create train; or write it as JSON lines",
        )
    with _child([str(columns.python), str(_JOB), str(path), str(skip), *columns.names], path) as lines:
        of, done = 0, skip
        for number, line in enumerate(lines):
            row = _read(line)
            if number == 0 and isinstance(row, dict):
                of = int(row["rows"])
                continue
            done += 1
            yield row
            say(done, of)


@contextmanager
def _child(argv: list[str], path: Path) -> Iterator[Iterator[bytes]]:
    """Give the lines of a child; one that did not end well is said, one that is not needed any more is ended."""
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **_ENV},
    )
    whole = False
    try:
        assert child.stdout is not None
        yield iter(child.stdout)
        whole = True
    finally:
        if not whole:
            child.kill()
        said = child.communicate(timeout=_END_SECONDS)[1].decode(errors="replace").strip().splitlines()
    if child.returncode != 0:
        raise MisuseError(f"{path.name} cannot be read: {said[-1] if said else child.returncode}", "check the file")


def _read(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return Unreadable("a row is no JSON")
