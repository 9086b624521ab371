"""Writing into the three training tables of a clean-room agent, and into nothing else.

The only connection of flywheel's that can write to an agent's database. It is opened when there is something to write
and closed at once; SQLite itself refuses it every other table (`_only`). A schema that is not the known one is left
alone.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from flywheel.core.errors import PermanentError, UnavailableError
from flywheel.sources.connections import quoted
from flywheel.sources.write_back_rows import OURS, DatasetRows, Row

# fmt: off
TABLES: Mapping[str, frozenset[str]] = MappingProxyType({
    "training_plans": frozenset((
        "id", "task_id", "target_stage", "base_model", "source", "data_criteria", "hyperparameters", "raw_plan",
        "timestamp",
    )),
    "training_datasets": frozenset((
        "id", "training_plan_id", "stage_name", "base_model", "source", "dataset_path", "example_count",
        "positive_count", "negative_count", "format", "timestamp",
    )),
    "adapter_metadata": frozenset((
        "id", "stage_name", "base_model", "model_tag", "version", "active", "performance_notes", "deployed_at",
    )),
})
# fmt: on
_LOCK_SECONDS = 1.0  # the agent comes first: a locked file is tried again later
_RETRY_SECONDS = 30.0
_HARMLESS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_FUNCTION}
_WRITES = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE}


def write_dataset(raw: Path, rows: DatasetRows) -> bool:
    """Record a dataset with its plan, both or neither; False when they stood there already."""
    with _writing(raw, "training_plans", "training_datasets") as connection:
        plan = _id(connection, "training_plans", {"task_id": rows.plan["task_id"]})
        new = plan is None
        plan = _insert(connection, "training_plans", rows.plan) if plan is None else plan
        dataset = {**rows.dataset, "training_plan_id": plan}
        if _id(connection, "training_datasets", {"training_plan_id": plan}) is None:
            _insert(connection, "training_datasets", dataset)
            new = True
    return new


def write_adapters(curated: Path, rows: list[Row]) -> bool:
    """Let the agent know a line's adapters as they stand; False when it knew. Rows that are not ours are left alone."""
    changed = False
    with _writing(curated, "adapter_metadata") as connection:
        for row in sorted(rows, key=lambda row: row["active"]):  # the one before lets go first
            changed = _put_adapter(connection, row) or changed
    return changed


def _put_adapter(connection: sqlite3.Connection, row: Row) -> bool:
    known = {name: row[name] for name in ("stage_name", "model_tag", "version")}
    found = connection.execute(
        "SELECT id, active, performance_notes FROM adapter_metadata WHERE stage_name = ? AND model_tag = ?"
        " AND version = ? AND performance_notes LIKE ? LIMIT 1",
        (*known.values(), f"{OURS}: %"),
    ).fetchone()
    if found is None:
        _insert(connection, "adapter_metadata", row)
        return True
    if found[1:] == (row["active"], row["performance_notes"]):
        return False
    connection.execute(
        "UPDATE adapter_metadata SET active = ?, performance_notes = ? WHERE id = ?",
        (row["active"], row["performance_notes"], found[0]),
    )
    return True


@contextmanager
def _writing(path: Path, *tables: str) -> Iterator[sqlite3.Connection]:
    """Give a connection inside one transaction that may write these tables; all of it happens or nothing."""
    if not path.is_file():
        raise UnavailableError(f"{path.name} is not there", "it is tried again", delay=_RETRY_SECONDS)
    try:
        with closing(_open(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table in tables:
                _check(connection, path, table)
            connection.set_authorizer(_only(tables))
            yield connection
            connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        raise _as_ours(path, error) from error
    except sqlite3.DatabaseError as error:
        raise PermanentError(f"{path.name} does not take what is written back: {error}", _MEND) from error


def _open(path: Path) -> sqlite3.Connection:
    uri = f"file:{quote(str(path))}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=_LOCK_SECONDS, isolation_level=None)


def _only(tables: tuple[str, ...]) -> Any:
    def authorize(action: int, first: str | None, *_: str | None) -> int:
        allowed = action in _HARMLESS or (action in _WRITES and first in tables)
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    return authorize


def _check(connection: sqlite3.Connection, path: Path, table: str) -> None:
    """Refuse a table that is not the one we know: a view, one with triggers, with missing or with demanding columns."""
    kinds = connection.execute(
        "SELECT type FROM sqlite_master WHERE name = ? OR (type = 'trigger' AND tbl_name = ?)", (table, table)
    ).fetchall()
    columns = connection.execute('SELECT name, "notnull", dflt_value FROM pragma_table_info(?)', (table,)).fetchall()
    names = {row[0] for row in columns}
    demanding = [row[0] for row in columns if row[1] and row[2] is None and row[0] not in TABLES[table]]
    if kinds != [("table",)] or not names >= TABLES[table] or demanding:
        raise PermanentError(f"{table} of {path.name} is not the table that flywheel knows", _MEND)


def _id(connection: sqlite3.Connection, table: str, known: Row) -> int | None:
    where = " AND ".join(f"{quoted(name)} = ?" for name in known)
    query = f"SELECT id FROM {quoted(table)} WHERE {where} LIMIT 1"  # noqa: S608 - names of ours, values bound
    found = connection.execute(query, tuple(known.values())).fetchone()
    return int(found[0]) if found else None


def _insert(connection: sqlite3.Connection, table: str, row: Row) -> int:
    names, marks = ", ".join(quoted(name) for name in row), ", ".join("?" * len(row))
    statement = f"INSERT INTO {quoted(table)} ({names}) VALUES ({marks})"  # noqa: S608 - names of ours, values bound
    return int(connection.execute(statement, tuple(row.values())).lastrowid or 0)


def _as_ours(path: Path, error: sqlite3.OperationalError) -> UnavailableError | PermanentError:
    if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL")):
        return UnavailableError(f"{path.name} cannot be written now: {error}", "it is tried again", _RETRY_SECONDS)
    return PermanentError(f"{path.name} cannot be written: {error}", _MEND)


_MEND = "check the file and its rights, or set `write_back = false` for this source"
