"""One look at a generic source: a read transaction that turns a cursor into a batch.

The unit of reading is the task. New call rows, new task rows, tasks that had not ended, and tasks among the newest
whose end changed make a task dirty; a dirty task is read whole, so that its calls are labelled together. Row numbers
only say where to look: when they went backwards, or the file is another one, reading begins anew, and the content
keys of what is stored already make that harmless.
"""

# ruff: noqa: S608 - table and column names come from the database's own schema and are quoted; values are bound

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from flywheel.core.errors import SettingsError
from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.secrets import find_secret_in
from flywheel.sources.columns import map_call_columns, map_task_columns
from flywheel.sources.connections import Identity, columns_of, is_indexed, quoted, rows_of
from flywheel.sources.conversations import UnreadableError, text_of
from flywheel.sources.readings import Batch, PendingTasks, Refusal, TaskReading
from flywheel.sources.rows import CallRow, Values, read_task, success_of
from flywheel.sources.settings import GenericSource

TASKS_A_BATCH = 2000
ROWS_A_BATCH = 4000
BYTES_A_BATCH = 16_000_000  # about what one batch may hold in memory
RECENT_TASKS = 200  # so many of the newest tasks are compared at every look; older changes are found by a full look
PENDING_A_LOOK = 400  # of the newest, and as many of the older ones by turns

_NAMES_A_QUERY = 400
_FIRST_TASKS = 8  # before it is known how large they are
_PARTS = 8
_LARGE = ("messages", "prompt", "system", "response")


class Shape(Frozen):
    """What the tables turned out to be: meaning -> column."""

    tasks: dict[str, str]
    calls: dict[str, str]
    calls_are_indexed: bool


class _Arrived(NamedTuple):
    """A call row that was not there at the last look."""

    row: int
    task: str | None
    raw: Any


def shape_of(connection: Any, settings: GenericSource) -> Shape:
    """Return which column means what; raises SettingsError when one that is needed is missing."""
    tasks, calls = settings.tasks_table, settings.calls_table
    task_columns = map_task_columns(tasks, columns_of(connection, tasks), settings.task_columns)
    call_columns = map_call_columns(calls, columns_of(connection, calls), settings.call_columns)
    if "at" not in call_columns and "created_at" not in task_columns:
        raise SettingsError(
            f"neither {calls} nor {tasks} has a column that says when", "map `at` or `created_at` in the settings"
        )
    return Shape(
        tasks=task_columns, calls=call_columns, calls_are_indexed=is_indexed(connection, calls, call_columns["task"])
    )


class Look:
    """One read transaction on a source."""

    def __init__(self, settings: GenericSource, connection: Any, shape: Shape, pending: PendingTasks) -> None:
        """Take a connection inside a transaction."""
        self._settings = settings
        self._connection = connection
        self._shape = shape
        self._pending = pending
        self._calls = quoted(settings.calls_table)
        self._tasks = quoted(settings.tasks_table)
        self._call_task = quoted(shape.calls["task"])
        self._task_task = quoted(shape.tasks["task"])

    def batch(self, cursor: Mapping[str, Any], identity: Identity | None) -> Batch:
        """Find the dirty tasks, read them whole, and say how far that got."""
        at = self._begin(cursor, identity)
        restarted = at["calls"] == 0
        arrived, calls_more = self._arrived(at["calls"])
        awaited, tasks_end, tasks_more = self._awaited(at["tasks"])
        overdue, position = self._overdue(at["pending"])
        recent = self._recent()
        known = at["recent"]
        changed = [task for task, success in recent.items() if task in known and known[task] != success]
        raw: dict[str, set[Any]] = defaultdict(set)  # a table may hold one name as a number and as a text
        for new in arrived:
            if new.task is not None:
                raw[new.task].add(new.raw)
        dirty = raw | {task: {task} for task in (*awaited, *overdue, *changed) if task not in raw}
        readings = self._read(dirty, {} if restarted else self._first_rows(arrived))
        done = {reading.task for reading in readings}
        whole = len(done) == len(dirty)
        calls_end = _reached(at["calls"], arrived, done)
        forward = {
            "calls": calls_end,
            "anchor": self._anchor(calls_end),
            "tasks": tasks_end if whole else at["tasks"],
            "pending": position if whole else at["pending"],
            "recent": recent if whole else known | {task: recent[task] for task in changed if task in done},
        }
        return Batch(
            tasks=tuple(readings),
            cursor=at | forward,
            more=not whole or calls_more or tasks_more,
            restarted=restarted,
            refusals=tuple(_nameless(self._settings.calls_table, new) for new in arrived if new.task is None),
        )

    def _begin(self, cursor: Mapping[str, Any], identity: Identity | None) -> dict[str, Any]:
        """Return the cursor to go on from: the one given, or the beginning when it means nothing any more."""
        same = cursor.get("identity") == list(identity or ()) and cursor.get("anchor") == self._anchor(
            cursor.get("calls", 0)
        )
        if same and self._end(self._tasks) >= int(cursor.get("tasks", 0)):
            return dict(cursor)
        return {"identity": list(identity or ()), "calls": 0, "anchor": "", "tasks": 0, "pending": 0, "recent": {}}

    def _anchor(self, row: int) -> str:
        """Return what identifies the last row that was read; another value means that its number was reused."""
        if row == 0:
            return ""
        when = quoted(self._shape.calls["at"]) if "at" in self._shape.calls else "NULL"
        query = f"SELECT typeof({self._call_task}), hex({self._call_task}), hex({when}) FROM {self._calls}"
        found = self._connection.execute(f"{query} WHERE rowid = ?", (row,)).fetchone()
        return content_hash(list(found)) if found else "gone"

    def _end(self, table: str) -> int:
        return int(self._connection.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()[0])

    def _arrived(self, after: int) -> tuple[list[_Arrived], bool]:
        """Return the call rows after a row, of at most so many tasks, and whether there are more."""
        query = f"SELECT rowid, {self._call_task} FROM {self._calls} WHERE rowid > ? ORDER BY rowid LIMIT ?"
        rows = rows_of(self._connection, query, (after, ROWS_A_BATCH))
        found: list[_Arrived] = []
        tasks: set[str] = set()
        for row, raw in rows:
            task = _task_name(raw)
            if task is not None and task not in tasks and len(tasks) == TASKS_A_BATCH:
                return found, True
            if task is not None:
                tasks.add(task)
            found.append(_Arrived(int(row), task, raw))
        return found, len(rows) == ROWS_A_BATCH

    def _awaited(self, after: int) -> tuple[list[str], int, bool]:
        """Return the tasks that were pending and now have a row, the last row looked at, and whether there are more."""
        query = f"SELECT rowid, {self._task_task} FROM {self._tasks} WHERE rowid > ? ORDER BY rowid LIMIT ?"
        rows = self._connection.execute(query, (after, ROWS_A_BATCH)).fetchall()
        names = [task for _, raw in rows if (task := _task_name(raw)) is not None]
        end = int(rows[-1][0]) if rows else after
        return list(self._pending.among(names)), end, len(rows) == ROWS_A_BATCH

    def _overdue(self, position: int) -> tuple[list[str], int]:
        """Return the pending tasks that have ended: of the newest, and of the older ones by turns."""
        older, following = self._pending.after(position, PENDING_A_LOOK)
        names = list(dict.fromkeys([*self._pending.newest(PENDING_A_LOOK), *older]))
        ends = self._ends(names)
        return [task for task in names if success_of(ends.get(task, {}).get("success")) is not None], following

    def _recent(self) -> dict[str, bool | None]:
        """Return how the newest tasks ended; the cursor remembers them by their names, which must hold no secret."""
        success = quoted(self._shape.tasks["success"])
        query = f"SELECT {self._task_task}, {success} FROM {self._tasks} ORDER BY rowid DESC LIMIT ?"
        rows = reversed(rows_of(self._connection, query, (RECENT_TASKS,)))
        found = {task: success_of(value) for raw, value in rows if (task := _task_name(raw)) is not None}
        if find_secret_in(found) is None:
            return found
        return {task: ended for task, ended in found.items() if find_secret_in([task]) is None}

    def _first_rows(self, arrived: Iterable[_Arrived]) -> dict[str, int]:
        """Return for each new task where its calls begin, so that a table without an index is not read from the top."""
        if self._shape.calls_are_indexed:
            return {}
        first: dict[str, int] = {}
        for new in arrived:
            if new.task is not None:
                first.setdefault(new.task, new.row)
        known = self._pending.known(list(first))
        return {task: row for task, row in first.items() if task not in known} | dict(self._pending.among(list(first)))

    def _read(self, dirty: Mapping[str, Collection[Any]], first: Mapping[str, int]) -> list[TaskReading]:
        """Read tasks whole, in order, until all are read or enough is in memory."""
        names = list(dirty)
        readings: list[TaskReading] = []
        size = 0
        step = _FIRST_TASKS if self._shape.calls_are_indexed else _NAMES_A_QUERY
        while len(readings) < len(names) and size <= BYTES_A_BATCH:
            chunk = names[len(readings) : len(readings) + step]
            raw = [value for name in chunk for value in dirty[name]]
            ends, calls = self._ends(raw), self._calls_of(raw, min(first.get(name, 0) for name in chunk))
            readings += [read_task(self._settings, name, ends.get(name), calls.get(name, ())) for name in chunk]
            size += sum(_size(call.values) for several in calls.values() for call in several)
            if self._shape.calls_are_indexed:  # so many at once as are expected to fill a part of what may be held
                step = min(max(BYTES_A_BATCH // _PARTS * len(readings) // (size + 1), 1), _NAMES_A_QUERY)
        return readings

    def _calls_of(self, tasks: Sequence[Any], first: int) -> dict[str, list[CallRow]]:
        meanings = list(self._shape.calls)
        columns = ", ".join(quoted(self._shape.calls[meaning]) for meaning in meanings)
        marks = ", ".join("?" * len(tasks))
        query = f"SELECT rowid, {columns} FROM {self._calls} WHERE {self._call_task} IN ({marks}) AND rowid >= ?"
        found: dict[str, list[CallRow]] = defaultdict(list)
        of_task = meanings.index("task") + 1
        names = ("row", *meanings)
        for row in rows_of(self._connection, query, (*tasks, first)):
            found[_task_name(row[of_task]) or ""].append(CallRow(row[0], dict(zip(names, row, strict=True))))
        for calls in found.values():
            calls.sort(key=_row)  # by an index they come in order anyway, and sorting them there would move their texts
        return found

    def _ends(self, tasks: Sequence[Any]) -> dict[str, Values]:
        """Return what the tasks table says of these; of several rows for one task the last."""
        meanings = list(self._shape.tasks)
        columns = ", ".join(quoted(self._shape.tasks[meaning]) for meaning in meanings)
        found: dict[str, Values] = {}
        for start in range(0, len(tasks), _NAMES_A_QUERY):
            chunk = tasks[start : start + _NAMES_A_QUERY]
            marks = ", ".join("?" * len(chunk))
            query = f"SELECT {columns} FROM {self._tasks} WHERE {self._task_task} IN ({marks}) ORDER BY rowid"
            for values in rows_of(self._connection, query, chunk):
                named = dict(zip(meanings, values, strict=True))
                found[_task_name(named["task"]) or ""] = named
        return found


def _task_name(raw: object) -> str | None:
    try:
        name = text_of(raw, "task")
    except UnreadableError:
        return None
    return name if name.strip() and "\x00" not in name else None


def _reached(after: int, arrived: Sequence[_Arrived], done: set[str]) -> int:
    """Return the last row before which every task was read."""
    for new in arrived:
        if new.task is not None and new.task not in done:
            return after
        after = new.row
    return after


def _nameless(table: str, new: _Arrived) -> Refusal:
    return Refusal(row=f"{table}/{new.row}", rule="no-task", reason=f"row {new.row}: it does not say which task")


def _size(values: Values) -> int:
    return sum([len(text) for name in _LARGE if isinstance(text := values.get(name), str | bytes)])


def _row(call: CallRow) -> int:
    return call.row
