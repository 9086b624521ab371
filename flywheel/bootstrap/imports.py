"""Imports an open dataset onto the shelf: row by row, proved where it can be, and on from where it stopped.

What came of some rows is laid down with the mark that says how far the files are read, in one transaction: whatever is
killed, the next call of the same order goes on behind them. Memory holds those rows, whatever the size of the files. A
row is one task by what it holds, so that it teaches once however often, and in whichever order, it is imported.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, NamedTuple

from flywheel.bootstrap.dataset_files import Columns, dataset_rows
from flywheel.bootstrap.dataset_readers import reader_of
from flywheel.bootstrap.dataset_rows import Reader
from flywheel.bootstrap.import_orders import Order, Report
from flywheel.bootstrap.lesson_makings import Prover, Row, making_of
from flywheel.bootstrap.samples import Sample, lot_of
from flywheel.bootstrap.shelves import Shelf
from flywheel.core.errors import UnavailableError
from flywheel.core.foreign_rows import BadRowError
from flywheel.core.ids import content_hash
from flywheel.core.makings import Making
from flywheel.proc.row_files import Unreadable
from flywheel.sandbox.clients import Runner

ROWS_AT_ONCE = 64
_PROVED_AT_ONCE = 16  # rows; each may bring many programs, and what was proved is not to be proved again after a kill
_DEEP = "it nests too deep"
NOTHING = "nothing that can be learned"
_NAME = 32


class Progress(NamedTuple):
    """How it goes: what is done, in which file, how much of how much of it was read, and what came of it so far."""

    phase: str
    file: str
    read: int
    of: int
    report: Report


class Tools(NamedTuple):
    """What an import leans on: who runs programs, so many at once; the interpreter that knows Parquet; who looks."""

    runner: Runner
    python: Path
    at_once: int = 4
    say: Callable[[Progress], None] = lambda _: None


async def import_dataset(order: Order, shelf: Shelf, tools: Tools) -> Report:
    """Import what is still to be imported; what was done is not done again."""
    report = report_of(shelf, order)
    if report.done:
        return report
    importer = _Importer(order, shelf, tools)
    if importer.reader.proves:
        await _stand_by(tools.runner)
    return await importer.go(report)


def report_of(shelf: Shelf, order: Order) -> Report:
    """Return how far an order got."""
    return Report(**shelf.mark(order.mark))


async def _stand_by(runner: Runner) -> None:
    why = await runner.check()
    if why:
        raise UnavailableError(f"the executor does not evaluate: {why}", "see docs/executor.md")


class _Found(NamedTuple):
    """A row as a file has it, its number there, and the hash of what it holds; empty where nothing can be said."""

    place: int
    row: Mapping[str, Any] | Unreadable
    digest: str


class _Importer:
    """One pass over the files of an order."""

    def __init__(self, order: Order, shelf: Shelf, tools: Tools) -> None:
        self.reader: Reader = reader_of(order.dataset)
        self._order, self._shelf, self._tools = order, shelf, tools
        self._columns = Columns(self.reader.columns, tools.python)
        self._prover = Prover(tools.runner, tools.at_once)
        self._read, self._of = 0, 0

    async def go(self, report: Report) -> Report:
        """Read on; say how it goes."""
        if self._order.sample is not None and report.largest is None:
            report = report._replace(largest=await self._drawn(report, self._order.sample))
        for number in range(report.file, len(self._order.files)):
            report = await self._file(report._replace(file=number))
            if self._full(report):
                break
            report = report._replace(file=number + 1, row=0)
        report = report._replace(done=True)
        self._shelf.put({}, {self._order.mark: report.body()})
        return report

    async def _drawn(self, report: Report, count: int) -> int:
        """Return the largest lot of a sample of all rows that can be read."""
        sample = Sample(count)
        for path, _ in self._order.files:
            async with aclosing(self._rows(path, 0)) as rows:
                async for found in rows:
                    if found.digest:
                        sample.add(lot_of(found.digest, self._order.seed))
                    if found.place % ROWS_AT_ONCE == 0:
                        self._tools.say(Progress("drawing", path.name, self._read, self._of, report))
        return sample.largest

    async def _file(self, report: Report) -> Report:
        path, some = self._order.files[report.file][0], list[_Found]()
        async with aclosing(self._rows(path, report.row)) as rows:
            while not self._full(report):
                found = await anext(rows, None)
                if found is not None and self._is_wanted(found, report):
                    some.append(found)
                if some and (found is None or len(some) == self._room(report)):
                    report, some = await self._chunk(report, some), []
                    self._tools.say(Progress("importing", path.name, self._read, self._of, report))
                if found is None:
                    break
        return report

    async def _rows(self, path: Path, skip: int) -> AsyncGenerator[_Found, None]:
        """Yield the rows of a file behind so many; now and then others have their turn, who may want to end this."""
        with closing(dataset_rows(path, self._columns, skip, self._heard)) as rows:  # a child may be at the other end
            for place, row in enumerate(rows, skip + 1):
                if place % ROWS_AT_ONCE == 0:
                    await asyncio.sleep(0)
                yield _Found(place, row, _digest(row))

    def _is_wanted(self, found: _Found, report: Report) -> bool:
        """Tell whether a row was drawn, or is one of which that cannot be told."""
        if report.largest is None or not found.digest:
            return True
        return lot_of(found.digest, self._order.seed) <= report.largest

    async def _chunk(self, report: Report, found: list[_Found]) -> Report:
        """Lay down what comes of some rows, with how far that is."""
        name, tasks = self._order.files[report.file][0].name, dict[str, list[Making]]()
        for one, came in zip(found, await asyncio.gather(*map(self._makings, found)), strict=True):
            if isinstance(came, str):
                report = report.with_rejected(came, f"{name}:{one.place}")
            else:
                tasks[f"import/{self.reader.name}/{one.digest[:_NAME]}"] = came
                report = report.with_kept(len(came), Counter(making.licence for making in came))
        report = report._replace(row=found[-1].place)
        self._shelf.put(tasks, {self._order.mark: report.body()})
        return report

    async def _makings(self, found: _Found) -> list[Making] | str:
        """Return the makings of a row, or why it has none."""
        try:
            lessons = self.reader.read(_checked(found))
        except BadRowError as error:
            return str(error)
        except RecursionError:
            return _DEEP
        held, why = await self._prover.proved(lessons)
        row = Row(found.digest, lessons)
        return [making_of(row, lesson, signals, self.reader, self._order) for lesson, signals in held] or why or NOTHING

    def _room(self, report: Report) -> int:
        """Return how many rows are taken on at once: never more than may still teach."""
        most = _PROVED_AT_ONCE if self.reader.proves else ROWS_AT_ONCE
        return most if self._order.limit is None else min(most, self._order.limit - report.kept)

    def _full(self, report: Report) -> bool:
        return self._order.limit is not None and report.kept >= self._order.limit

    def _heard(self, read: int, of: int) -> None:
        self._read, self._of = read, of


def _checked(found: _Found) -> Mapping[str, Any]:
    if isinstance(found.row, Unreadable):
        raise BadRowError(found.row.reason)
    if not found.digest:
        raise BadRowError(_DEEP)
    return found.row


def _digest(row: Mapping[str, Any] | Unreadable) -> str:
    """Return the hash of what a row holds; empty where nothing can be said of it."""
    if isinstance(row, Unreadable):
        return ""
    try:
        return content_hash(row)
    except RecursionError:
        return ""
