"""Importing suites that others made: rows in the shape of LiveCodeBench, APPS or HumanEval become problems.

An import stages what it read below `imports/`, whole, under the hash of its content; the daemon compares it with what
the house knows and freezes the suite. Every row that becomes no problem is counted by its first reason.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from flywheel.core.errors import MisuseError, PermanentError
from flywheel.core.foreign_rows import BadRowError
from flywheel.core.foreign_tests import Tests
from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.verdicts import Problem
from flywheel.gate import imports_apps, imports_humaneval, imports_livecodebench
from flywheel.gate.foreign_suites import Staged
from flywheel.gate.problems import ProblemError, dump, problem_of
from flywheel.gate.suites import MANIFEST, PROBLEMS
from flywheel.proc.files import file_hash, publish_folder, write_json
from flywheel.proc.row_files import Say, Unreadable, rows_of

AUTO = "auto"
LARGEST_SUITE = 1 << 30
_ROWS_TO_KNOW = 20  # of which one must say what shape the file has


class Reader(NamedTuple):
    """How rows of one shape are told and read."""

    keys: frozenset[str]
    read: Callable[[Mapping[str, Any], Tests], Problem]


def _own(row: Mapping[str, Any], _: Tests) -> Problem:
    """Return the problem of a row that is in this house's own shape."""
    try:
        return problem_of(dict(row))
    except ProblemError as error:
        raise BadRowError(f"no problem: {str(error).partition(':')[0]}") from error


SHAPES: Mapping[str, Reader] = MappingProxyType({
    "livecodebench": Reader(imports_livecodebench.KEYS, imports_livecodebench.read_row),
    "apps": Reader(imports_apps.KEYS, imports_apps.read_row),
    "humaneval": Reader(imports_humaneval.KEYS, imports_humaneval.read_row),
    "flywheel": Reader(frozenset({"kind", "messages", "expected"}), _own),
})  # fmt: skip


class Order(Frozen):
    """What is to be imported: under which name, in which shape, and at most how many problems."""

    name: str
    path: Path
    shape: str = "auto"
    limit: int | None = None


class Reading:
    """One pass over a file: its problems, and what was counted on the way."""

    def __init__(self, order: Order, say: Say) -> None:
        """Prepare to read; nothing is opened yet."""
        self.order = order
        self.shape = "" if order.shape == AUTO else order.shape
        self.read = 0
        self.kept = 0
        self.rejected: Counter[str] = Counter()
        self.tests_left_out: Counter[str] = Counter()
        self._say = say
        self._ids: set[str] = set()

    def problems(self) -> Iterator[Problem]:
        """Yield problems, each with an id of its own, until the file or the limit ends."""
        for row in self._shaped(rows_of(self.order.path, self._say)):
            if self.order.limit is not None and self.kept >= self.order.limit:
                return
            self.read += 1
            tests = Tests()
            try:
                problem = self._problem(row, tests)
            except BadRowError as error:
                self.rejected[str(error)] += 1
            except RecursionError:
                self.rejected["a value that JSON cannot hold"] += 1
            else:
                self.tests_left_out.update(tests.left_out)
                self.kept += 1
                yield problem

    def _problem(self, row: Any, tests: Tests) -> Problem:
        if isinstance(row, Unreadable):
            raise BadRowError(row.reason)
        if not isinstance(row, dict):
            raise BadRowError("a row is no object")
        problem = SHAPES[self.shape].read(row, tests)
        if problem.id in self._ids:
            problem = problem.model_copy(update={"id": f"{problem.id}#{self.read}"})
        self._ids.add(problem.id)
        return problem

    def _shaped(self, rows: Iterator[Any]) -> Iterator[Any]:
        """Yield the rows, once it is known what shape they have."""
        first: list[Any] = []
        while not self.shape and len(first) < _ROWS_TO_KNOW:
            row = next(rows, None)
            if row is None:
                break
            first.append(row)
            self.shape = shape_of(row)
        if not self.shape:
            shapes = ", ".join(SHAPES)
            raise MisuseError(
                f"{self.order.path.name} has no shape that is known", f"shapes: {shapes}; see docs/gate.md"
            )
        yield from first
        yield from rows


def shape_of(row: Any) -> str:
    """Return the shape that a row has by its keys; empty when it has none that is known."""
    if not isinstance(row, dict):
        return ""
    return next((name for name, reader in SHAPES.items() if reader.keys <= row.keys()), "")


def stage(order: Order, folder: Path, say: Say) -> tuple[str, Staged]:
    """Read a file and leave its problems in a folder of their hash, whole or not at all; return hash and counts."""
    if order.shape not in {AUTO, *SHAPES}:
        raise MisuseError(f"there is no shape {order.shape!r}", f"shapes: {', '.join([AUTO, *SHAPES])}")
    folder.mkdir(parents=True, exist_ok=True)
    reading = Reading(order, say)
    unnamed = folder / f".{os.getpid()}.reading"
    try:
        unnamed.write_bytes(b"")
        _write(unnamed, (dump(problem) for problem in reading.problems()))
        if not reading.kept:
            told = ", ".join(f"{count}: {reason}" for reason, count in reading.rejected.most_common(5))
            raise PermanentError(f"none of the {reading.read} rows of {order.path.name} is a problem: {told}")
        staged = Staged(
            name=order.name, shape=reading.shape, problems=reading.kept, read=reading.read,
            rejected=dict(reading.rejected), tests_left_out=dict(reading.tests_left_out), sha256=file_hash(unnamed),
        )  # fmt: skip
        digest = content_hash(staged.model_dump(mode="json"))
        with publish_folder(folder / digest) as target:
            shutil.copyfile(unnamed, target / PROBLEMS)
            write_json(target / MANIFEST, staged.model_dump(mode="json"))
    finally:
        with suppress(FileNotFoundError):
            unnamed.unlink()
    return digest, staged


def _write(path: Path, lines: Iterable[bytes]) -> None:
    size = 0
    with path.open("wb") as file:
        for line in lines:
            size += file.write(line)
            if size > LARGEST_SUITE:
                raise PermanentError(f"the suite is larger than {LARGEST_SUITE >> 30} GiB", "import fewer: --limit")
