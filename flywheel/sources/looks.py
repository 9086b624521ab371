"""One look at a generic source: a read transaction that turns a cursor into a batch.

The unit of reading is the task. New call rows, new task rows, tasks that had not ended, and tasks among the newest
whose end changed make a task dirty; a dirty task is read whole, so that its calls are labelled together. Row numbers
only say where to look: when they went backwards, or the file is another one, reading begins anew, and the content
keys of what is stored already make that harmless.
"""

# ruff: noqa: S608 - table and column names come from the database's own schema and are quoted; values are bound

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from flywheel.core.errors import SettingsError
from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.secrets import find_secret_in
from flywheel.sources.backlogs import Arrivals, Arrived, Backlog, Key
from flywheel.sources.chunks import Chunk, ends_of, task_name
from flywheel.sources.columns import map_call_columns, map_task_columns
from flywheel.sources.connections import Identity, columns_of, is_indexed, quoted, rows_of
from flywheel.sources.helpers import Given
from flywheel.sources.readings import Batch, PendingTasks, Refusal
from flywheel.sources.rows import success_of
from flywheel.sources.settings import GenericSource

TASKS_A_BATCH = 2000
ROWS_A_BATCH = 4000
BYTES_A_BATCH = 16_000_000  # about what one batch may hold in memory
RECENT_TASKS = 200  # so many of the newest tasks are compared at every look; older changes are found by a full look
PENDING_A_LOOK = 400  # of the newest, and as many of the older ones by turns

_NAMES_A_QUERY = 400
_FIRST_TASKS = 8  # before it is known how large they are
_PARTS = 8


class Shape(Frozen):
    """What the tables turned out to be: meaning -> column."""

    tasks: dict[str, str]
    calls: dict[str, str]
    calls_are_indexed: bool


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

    def __init__(
        self, settings: GenericSource, connection: Any, shape: Shape, pending: PendingTasks, backlog: Backlog
    ) -> None:
        """Take a connection inside a transaction, and a backlog that was begun in it."""
        self._settings = settings
        self._connection = connection
        self._shape = shape
        self._pending = pending
        self._backlog = backlog
        self._calls = quoted(settings.calls_table)
        self._tasks = quoted(settings.tasks_table)
        self._call_task = quoted(shape.calls["task"])
        self._task_task = quoted(shape.tasks["task"])

    def batch(self, cursor: Mapping[str, Any], identity: Identity | None) -> Batch:
        """Find the dirty tasks, read them whole, and say how far that got."""
        at = self._begin(cursor, identity)
        restarted = at["calls"] == 0
        arrived, calls_more = self._backlog.arrivals(at["calls"]) or self._arrived(at["calls"])
        awaited, tasks_end, tasks_more = self._awaited(at["tasks"])
        overdue, position = self._overdue(at["pending"])
        recent = self._recent()
        known = at["recent"]
        changed = [task for task, success in recent.items() if task in known and known[task] != success]
        raw = _by_task(arrived)
        dirty = raw | {task: {task} for task in (*awaited, *overdue, *changed) if task not in raw}
        if calls_more or tasks_more:  # one batch alone is read before a helper has started
            self._backlog.helpers.call_in()
        given = list(self._given(dirty, {} if restarted else self._first_rows(arrived)))
        done = {name for one in given for name in one.chunk.names}
        whole = len(done) == len(dirty)
        calls_end = _reached(at["calls"], arrived, done)
        more = not whole or calls_more or tasks_more
        if more:
            self._look_ahead(calls_end)
        readings, words = self._backlog.collect(given)
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
            more=more,
            restarted=restarted,
            refusals=tuple(_nameless(self._settings.calls_table, new) for new in arrived if new.task is None),
            words=words,
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

    def _arrived(self, after: int) -> Arrivals:
        """Return the call rows after a row, of at most so many tasks, and whether there are more."""
        query = f"SELECT rowid, {self._call_task} FROM {self._calls} WHERE rowid > ? ORDER BY rowid LIMIT ?"
        rows = rows_of(self._connection, query, (after, ROWS_A_BATCH))
        found: list[Arrived] = []
        tasks: set[str] = set()
        for row, raw in rows:
            task = task_name(raw)
            if task is not None and task not in tasks and len(tasks) == TASKS_A_BATCH:
                return Arrivals(found, more=True)
            if task is not None:
                tasks.add(task)
            found.append(Arrived(int(row), task, raw))
        return Arrivals(found, len(rows) == ROWS_A_BATCH)

    def _awaited(self, after: int) -> tuple[list[str], int, bool]:
        """Return the tasks that were pending and now have a row, the last row looked at, and whether there are more."""
        query = f"SELECT rowid, {self._task_task} FROM {self._tasks} WHERE rowid > ? ORDER BY rowid LIMIT ?"
        rows = self._connection.execute(query, (after, ROWS_A_BATCH)).fetchall()
        names = [task for _, raw in rows if (task := task_name(raw)) is not None]
        end = int(rows[-1][0]) if rows else after
        return list(self._pending.among(names)), end, len(rows) == ROWS_A_BATCH

    def _overdue(self, position: int) -> tuple[list[str], int]:
        """Return the pending tasks that have ended: of the newest, and of the older ones by turns."""
        older, following = self._pending.after(position, PENDING_A_LOOK)
        names = list(dict.fromkeys([*self._pending.newest(PENDING_A_LOOK), *older]))
        ends = ends_of(tuple(self._shape.tasks), self._end_rows(names))
        return [task for task in names if success_of(ends.get(task, {}).get("success")) is not None], following

    def _recent(self) -> dict[str, bool | None]:
        """Return how the newest tasks ended; the cursor remembers them by their names, which must hold no secret."""
        success = quoted(self._shape.tasks["success"])
        query = f"SELECT {self._task_task}, {success} FROM {self._tasks} ORDER BY rowid DESC LIMIT ?"
        rows = reversed(rows_of(self._connection, query, (RECENT_TASKS,)))
        found = {task: success_of(value) for raw, value in rows if (task := task_name(raw)) is not None}
        if find_secret_in(found) is None:
            return found
        return {task: ended for task, ended in found.items() if find_secret_in([task]) is None}

    def _first_rows(self, arrived: Iterable[Arrived]) -> dict[str, int]:
        """Return for each new task where its calls begin, so that a table without an index is not read from the top."""
        if self._shape.calls_are_indexed:
            return {}
        first: dict[str, int] = {}
        for new in arrived:
            if new.task is not None:
                first.setdefault(new.task, new.row)
        known = self._pending.known(list(first))
        return {task: row for task, row in first.items() if task not in known} | dict(self._pending.among(list(first)))

    def _given(self, dirty: Mapping[str, Collection[Any]], first: Mapping[str, int]) -> Iterator[Given]:
        """Have tasks read whole, in order, until all are given away or enough is in memory."""
        names = list(dirty)
        done = size = 0
        step = _FIRST_TASKS if self._shape.calls_are_indexed else _NAMES_A_QUERY
        while done < len(names) and size <= BYTES_A_BATCH:
            chosen = tuple(names[done : done + step])
            key = _key(chosen, dirty)
            given = self._backlog.take(key) or self._give(key, min(first.get(name, 0) for name in chosen))
            yield given
            done, size = done + len(chosen), size + given.size
            if self._shape.calls_are_indexed:  # so many at once as are expected to fill a part of what may be held
                step = min(max(BYTES_A_BATCH // _PARTS * done // (size + 1), 1), _NAMES_A_QUERY)

    def _give(self, key: Key, first: int) -> Given:
        names, raw = key
        chunk = Chunk(
            self._settings,
            tuple(self._shape.tasks),
            tuple(self._shape.calls),
            names,
            self._end_rows(raw),
            self._call_rows(raw, first),
        )
        return self._backlog.helpers.give(chunk, chunk.size)

    def _look_ahead(self, after: int) -> None:
        """Give away what the next look will most likely read, while what this one reads is stored."""
        self._backlog.forget()
        if not self._backlog.pays() or not self._shape.calls_are_indexed:
            return
        arrivals = self._arrived(after)
        self._backlog.expect(after, arrivals)
        dirty = _by_task(arrivals.rows)
        for given in self._given(dirty, {}):
            self._backlog.keep(_key(given.chunk.names, dirty), given)
            if not self._backlog.pays():
                return

    def _call_rows(self, tasks: Sequence[Any], first: int) -> list[Any]:
        columns = ", ".join(quoted(column) for column in self._shape.calls.values())
        marks = ", ".join("?" * len(tasks))
        query = f"SELECT rowid, {columns} FROM {self._calls} WHERE {self._call_task} IN ({marks}) AND rowid >= ?"
        return rows_of(self._connection, query, (*tasks, first))

    def _end_rows(self, tasks: Sequence[Any]) -> list[Any]:
        columns = ", ".join(quoted(column) for column in self._shape.tasks.values())
        found: list[Any] = []
        for start in range(0, len(tasks), _NAMES_A_QUERY):
            chunk = tasks[start : start + _NAMES_A_QUERY]
            marks = ", ".join("?" * len(chunk))
            query = f"SELECT {columns} FROM {self._tasks} WHERE {self._task_task} IN ({marks}) ORDER BY rowid"
            found += rows_of(self._connection, query, chunk)
        return found


def _by_task(arrived: Iterable[Arrived]) -> dict[str, set[Any]]:
    """Return the tasks of call rows, each with the values for it: a table may hold a name as a number and as a text."""
    found: dict[str, set[Any]] = defaultdict(set)
    for new in arrived:
        if new.task is not None:
            found[new.task].add(new.raw)
    return found


def _key(names: tuple[str, ...], dirty: Mapping[str, Collection[Any]]) -> Key:
    return names, tuple([value for name in names for value in dirty[name]])


def _reached(after: int, arrived: Sequence[Arrived], done: set[str]) -> int:
    """Return the last row before which every task was read."""
    for new in arrived:
        if new.task is not None and new.task not in done:
            return after
        after = new.row
    return after


def _nameless(table: str, new: Arrived) -> Refusal:
    return Refusal(row=f"{table}/{new.row}", rule="no-task", reason=f"row {new.row}: it does not say which task")
