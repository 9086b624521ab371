"""Some tasks of a generic source with all their raw rows: what one process can hand to another to be read. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from flywheel.sources.conversations import UnreadableError, text_of
from flywheel.sources.rows import CallRow, Values, read_task
from flywheel.sources.settings import GenericSource
from flywheel.sources.task_readings import TaskReading

_LARGE = ("messages", "prompt", "system", "response")


class Chunk(NamedTuple):
    """Tasks by their names, the rows that say how they ended, and their calls' rows; each call's row number first."""

    settings: GenericSource
    task_meanings: tuple[str, ...]
    call_meanings: tuple[str, ...]
    names: tuple[str, ...]
    ends: Sequence[tuple[Any, ...]]
    calls: Sequence[tuple[Any, ...]]

    @property
    def size(self) -> int:
        """Return about how much memory its rows take."""
        large = [at for at, meaning in enumerate(self.call_meanings, 1) if meaning in _LARGE]
        return sum([len(text) for row in self.calls for at in large if isinstance(text := row[at], str | bytes)])

    def without_rows(self) -> "Chunk":
        """Return the same without what takes memory, for when it was read."""
        return self._replace(ends=(), calls=())


def read_chunk(chunk: Chunk) -> list[TaskReading]:
    """Return the tasks as they are read, in the order of their names."""
    ends, calls = ends_of(chunk.task_meanings, chunk.ends), _calls_of(chunk.call_meanings, chunk.calls)
    return [read_task(chunk.settings, name, ends.get(name), calls.get(name, ())) for name in chunk.names]


def ends_of(meanings: Sequence[str], rows: Iterable[Sequence[Any]]) -> dict[str, Values]:
    """Return by task what the tasks table says of it; of several rows for one task the last."""
    found: dict[str, Values] = {}
    for row in rows:
        named = dict(zip(meanings, row, strict=True))
        found[task_name(named["task"]) or ""] = named
    return found


def task_name(raw: object) -> str | None:
    """Return a task's name, or None where a row does not say one."""
    try:
        name = text_of(raw, "task")
    except UnreadableError:
        return None
    return name if name.strip() and "\x00" not in name else None


def _calls_of(meanings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Mapping[str, Sequence[CallRow]]:
    found: dict[str, list[CallRow]] = defaultdict(list)
    of_task = meanings.index("task") + 1
    names = ("row", *meanings)
    for row in rows:
        found[task_name(row[of_task]) or ""].append(CallRow(row[0], dict(zip(names, row, strict=True))))
    for calls in found.values():
        calls.sort(key=_row)  # by an index they come in order anyway, and sorting them there would move their texts
    return found


def _row(call: CallRow) -> int:
    return call.row
