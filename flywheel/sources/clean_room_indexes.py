"""Where in a clean-room database the rows of a root stand: it has no index by task, so we keep one in memory.

Tables only grow, so the index only reads what came since; ids and names, never the words.
"""

# ruff: noqa: S608 - table names come from the closed list below

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from flywheel.sources.clean_room_names import root_of
from flywheel.sources.connections import columns_of
from flywheel.sources.conversations import UnreadableError, text_of

CALLS, DECISIONS, TASKS = "retrieval_llm_calls", "retrieval_decisions", "task_runs"
ATTEMPTS, VALIDATIONS, RUNS, PASSES = "run_attempts", "validation_results", "orchestrator_runs", "orchestrator_passes"

_OWNERS = {CALLS: "task_id", DECISIONS: "task_id", TASKS: "task_id", RUNS: "task_id", ATTEMPTS: "task_run_id",
           VALIDATIONS: "attempt_id", PASSES: "orchestrator_run_id"}  # fmt: skip


class RowIndex:
    """Says for each root which rows are its own."""

    def __init__(self) -> None:
        """Begin empty."""
        self._ends = dict.fromkeys(_OWNERS, 0)
        self.calls: dict[str, list[int]] = {}
        self.decisions: dict[str, list[int]] = {}
        self.tasks: dict[str, list[int]] = defaultdict(list)
        self.attempts: dict[int, list[int]] = defaultdict(list)
        self.validations: dict[int, list[int]] = defaultdict(list)
        self.passes: dict[int, list[int]] = defaultdict(list)
        self.runs: list[int] = []
        self.run_of: dict[str, int] = {}
        self.roots: list[str] = []

    def extend(self, connection: Any) -> bool:
        """Read what came since; False when rows vanished, so that the whole index means nothing any more."""
        if any(_end(connection, table) < end for table, end in self._ends.items()):
            return False
        for row, owner in self._new(connection, CALLS):
            self._widen(self.calls, row, owner, self.roots)
        for row, owner in self._new(connection, DECISIONS):
            self._widen(self.decisions, row, owner, [])
        for row, owner in self._new(connection, TASKS):
            if (root := _root(owner)) is not None:
                self.tasks[root].append(row)
        self._extend_runs(connection)
        for table, owned in ((ATTEMPTS, self.attempts), (VALIDATIONS, self.validations), (PASSES, self.passes)):
            for row, owner in self._new(connection, table):
                if isinstance(owner, int):
                    owned[owner].append(row)
        return True

    def near(self, run: int, reach: int) -> list[int]:
        """Return the ids of the runs around one, itself included."""
        at = bisect_left(self.runs, run)
        return self.runs[max(0, at - reach) : at + reach + 1]

    def end(self, table: str) -> int:
        """Return the last row that was read of a table."""
        return self._ends[table]

    def _extend_runs(self, connection: Any) -> None:
        for row, owner in self._new(connection, RUNS):
            self.runs.append(row)
            root = _root(owner)
            if root is not None:
                self.run_of[root] = row

    def _new(self, connection: Any, table: str) -> Iterator[tuple[int, Any]]:
        if _OWNERS[table] not in columns_of(connection, table):
            return
        query = f"SELECT rowid, {_OWNERS[table]} FROM {table} WHERE rowid > ? ORDER BY rowid"
        for row, owner in connection.execute(query, (self._ends[table],)):
            self._ends[table] = int(row)
            yield int(row), owner

    @staticmethod
    def _widen(ranges: dict[str, list[int]], row: int, owner: object, order: list[str]) -> None:
        root = _root(owner)
        if root is None:
            return
        if root in ranges:
            ranges[root][1] = row
        else:
            ranges[root] = [row, row]
            order.append(root)


def _end(connection: Any, table: str) -> int:
    if not columns_of(connection, table):
        return 0
    return int(connection.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()[0])


def task_text(owner: object) -> str | None:
    """Return a task id as text, or None for what names no task."""
    try:
        name = text_of(owner, "task")
    except UnreadableError:
        return None
    return name if name.strip() and "\x00" not in name else None


def _root(owner: object) -> str | None:
    name = task_text(owner)
    return root_of(name) if name is not None else None
