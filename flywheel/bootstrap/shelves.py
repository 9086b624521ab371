"""The shelf: what was made, by task, with how far each recipe got. Written here, read by `sources` as any other source.

Makings and the mark that says how far their recipe got are written in one transaction: whatever is killed, nothing is
made twice and nothing is left out.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flywheel.bootstrap.databases import problem_of, writing
from flywheel.core.makings import Making

_PRIVATE = 0o600
_LOCK_SECONDS = 10.0

# A task that is put again goes to the end under a new number: numbers are never used twice, so that a cursor holds.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    task TEXT NOT NULL UNIQUE,
    recipe TEXT NOT NULL,
    makings INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
"""


class Shelf:
    """Holds what was made."""

    def __init__(self, path: Path) -> None:
        """Open the file, and make it where there is none; raises UnavailableError or CorruptError."""
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, _PRIVATE))
            self._connection = sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise problem_of(path, error) from error

    def __enter__(self) -> Self:
        """Use it until the block ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def forget_marks(self, name: str) -> None:
        """Take away the mark of that name and those below it."""
        below = f"{name}/"
        with self._writing():
            query = "DELETE FROM marks WHERE name = ? OR substr(name, 1, ?) = ?"
            self._connection.execute(query, (name, len(below), below))

    def put(self, tasks: Mapping[str, Sequence[Making]], marks: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Lay down what was made of tasks, and how far that got: all of it or nothing.

        What a task had before is replaced; with nothing made it is withdrawn. A task that is as it was stays in place.
        """
        with self._writing():
            for task, makings in tasks.items():
                self._put(task, makings)
            for name, body in (marks or {}).items():
                written = json.dumps(body, sort_keys=True)
                self._connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, written))

    def mark(self, name: str) -> dict[str, Any]:
        """Return how far something got; nothing when it was never begun."""
        found = self._connection.execute("SELECT body FROM marks WHERE name = ?", (name,)).fetchone()
        return dict(json.loads(found[0])) if found else {}

    def marks(self, prefix: str) -> dict[str, dict[str, Any]]:
        """Return all marks whose names begin so."""
        query = "SELECT name, body FROM marks WHERE substr(name, 1, ?) = ? ORDER BY name"
        return {name: json.loads(body) for name, body in self._connection.execute(query, (len(prefix), prefix))}

    def marks_behind(self, prefix: str, behind: str, count: int) -> dict[str, dict[str, Any]]:
        """Return the next marks whose names begin so, behind a name: a page of many."""
        query = "SELECT name, body FROM marks WHERE name > ? AND substr(name, 1, ?) = ? ORDER BY name LIMIT ?"
        found = self._connection.execute(query, (max(behind, prefix), len(prefix), prefix, count))
        return {name: json.loads(body) for name, body in found}

    def makings(self, task: str) -> tuple[Making, ...]:
        """Return what was made of a task."""
        found = self._connection.execute("SELECT body FROM tasks WHERE task = ?", (task,)).fetchone()
        return tuple(Making.model_validate(one) for one in json.loads(found[0])) if found else ()

    def tasks(self, prefix: str = "") -> Iterator[str]:
        """Yield the tasks of which something was made and whose names begin so."""
        query = "SELECT task FROM tasks WHERE substr(task, 1, ?) = ? AND makings > 0 ORDER BY task"
        for (task,) in self._connection.execute(query, (len(prefix), prefix)):
            yield task

    def tasks_behind(self, behind: str, count: int) -> list[tuple[str, tuple[Making, ...]]]:
        """Return the next tasks behind a name with what was made of them: a page, between which may be written."""
        query = "SELECT task, body FROM tasks WHERE task > ? AND makings > 0 ORDER BY task LIMIT ?"
        found = self._connection.execute(query, (behind, count)).fetchall()
        return [(task, tuple(map(Making.model_validate, json.loads(body)))) for task, body in found]

    def counts(self) -> dict[str, int]:
        """Return how many makings each recipe has on the shelf."""
        return dict(self._connection.execute("SELECT recipe, sum(makings) FROM tasks GROUP BY recipe ORDER BY recipe"))

    def tallies(self) -> list[dict[str, Any]]:
        """Return how many examples there are by recipe, line and licence; no line where the lines select them."""
        query = (
            "SELECT json_extract(value, '$.recipe'), json_extract(value, '$.line'), json_extract(value, '$.licence'), "
            "count(*) FROM tasks, json_each(body) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        columns = ("recipe", "line", "licence", "examples")
        return [dict(zip(columns, row, strict=True)) for row in self._connection.execute(query)]

    def _put(self, task: str, makings: Sequence[Making]) -> None:
        body = json.dumps([making.model_dump(mode="json") for making in makings])
        known = self._connection.execute("SELECT recipe, body FROM tasks WHERE task = ?", (task,)).fetchone()
        if (known[1] if known else "[]") == body:
            return
        recipe = makings[0].recipe if makings else known[0]
        self._connection.execute("DELETE FROM tasks WHERE task = ?", (task,))
        self._connection.execute(
            "INSERT INTO tasks (task, recipe, makings, body) VALUES (?, ?, ?, ?)", (task, recipe, len(makings), body)
        )

    def _writing(self) -> AbstractContextManager[None]:
        return writing(self._connection, self._path)
