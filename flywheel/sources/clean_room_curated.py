"""What a clean-room agent's `curated.sqlite` knows: which path a file's id means, and which commits were seen.

It may be missing, locked or built anew at any time. What it cannot say is unknown; it never stops a look at the raw
one.
"""

# ruff: noqa: S608 - tables are named here and values are bound

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flywheel.sources.connections import WatchedDatabase, columns_of
from flywheel.sources.conversations import UnreadableError, text_of
from flywheel.sources.problems import SourceProblemError

_NAMES_A_QUERY = 400


class Curated:
    """Answers small questions, each in a read transaction of its own."""

    def __init__(self, path: Path) -> None:
        """Remember where; nothing is opened yet."""
        self._database = WatchedDatabase(path)
        self._commits: set[str] = set()

    def version(self) -> tuple[int, int] | None:
        """Return a value that differs whenever it was changed; None while it cannot be read."""
        try:
            return self._database.version()
        except SourceProblemError:
            return None

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def paths(self, ids: Iterable[int]) -> dict[int, str]:
        """Return the paths of those ids that mean a file."""
        return {int(row): path for row, path in self._rows("files", "id", "path", sorted(set(ids))) if path}

    def seen(self, commits: Iterable[str]) -> frozenset[str]:
        """Return which of these an index of the repo has seen; seen once is seen, also while it is built anew."""
        asked = set(commits)
        found = {commit for _, commit in self._rows("commits", "hash", "hash", sorted(asked - self._commits))}
        self._commits = (self._commits & asked) | found
        return frozenset(self._commits)

    def _rows(self, table: str, key: str, value: str, wanted: list[Any]) -> list[tuple[Any, str]]:
        found: list[tuple[Any, str]] = []
        try:
            with self._database.reading() as connection:
                if wanted and {key, value} <= set(columns_of(connection, table)):
                    for start in range(0, len(wanted), _NAMES_A_QUERY):
                        found += _chunk(connection, table, key, value, wanted[start : start + _NAMES_A_QUERY])
        except SourceProblemError:
            return []
        return found


def _chunk(connection: Any, table: str, key: str, value: str, wanted: list[Any]) -> list[tuple[Any, str]]:
    marks = ", ".join("?" * len(wanted))
    rows = connection.execute(f"SELECT {key}, {value} FROM {table} WHERE {key} IN ({marks})", wanted).fetchall()
    return [(row, text) for row, raw in rows if (text := _words(raw))]


def _words(value: object) -> str:
    try:
        return text_of(value, "a value")
    except UnreadableError:
        return ""
