"""Which files each piece of work was shown in the end: `retrieval_decisions`, its ids resolved to paths."""

# ruff: noqa: S608 - tables are named here; values are bound

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from flywheel.core.clocks import parse_time
from flywheel.sources.clean_room_curated import Curated
from flywheel.sources.clean_room_indexes import DECISIONS, RowIndex, task_text
from flywheel.sources.clean_room_names import TaskName, parse_task
from flywheel.sources.connections import columns_of

_NEEDED = {"task_id", "stage", "file_id", "included"}
_LAST_STAGE = "assembly"
_INDEXED = {"files_scanned", "files_changed", "timestamp"}


class Indexing(NamedTuple):
    """When the repo was indexed, and when last from nothing: ids from before that mean other files now."""

    at: tuple[datetime, ...] = ()
    anew: datetime | None = None


def indexing(connection: Any) -> Indexing:
    """Return when the repo was indexed; the first index of all made no id meaningless."""
    if not set(columns_of(connection, "index_runs")) >= _INDEXED:
        return Indexing()
    rows = connection.execute(
        "SELECT files_scanned, files_changed, timestamp FROM index_runs ORDER BY rowid"
    ).fetchall()
    times = [(parse_time(at), scanned, changed) for scanned, changed, at in rows]
    known = [(at, scanned, changed) for at, scanned, changed in times if at is not None]
    whole = [at for at, scanned, changed in known if isinstance(scanned, int) and 0 < scanned == changed]
    return Indexing(tuple(at for at, _, _ in known), max(whole, default=None))


def shown_files(
    connection: Any, index: RowIndex, root: str, curated: Curated, anew: datetime | None
) -> dict[TaskName, frozenset[str] | None]:
    """Return for each piece of work the files that were let in at the end; None where an id means nothing any more."""
    if root not in index.decisions or not set(columns_of(connection, DECISIONS)) >= _NEEDED:
        return {}
    included: dict[TaskName, set[int]] = defaultdict(set)
    stale: set[TaskName] = set()
    first, last = index.decisions[root]
    query = f"SELECT task_id, file_id, included, timestamp FROM {DECISIONS} WHERE rowid BETWEEN ? AND ? AND stage = ?"
    for task, file, kept, at in connection.execute(query, (first, last, _LAST_STAGE)):
        name = parse_task(text) if (text := task_text(task)) is not None else None
        if name is None or name.root != root:
            continue
        if _is_stale(at, anew) or not isinstance(file, int):
            stale.add(name)
        elif kept == 1:
            included[name].add(file)
    return _resolved(included, stale, curated)


def _resolved(
    included: Mapping[TaskName, set[int]], stale: set[TaskName], curated: Curated
) -> dict[TaskName, frozenset[str] | None]:
    paths = curated.paths(file for files in included.values() for file in files)
    found: dict[TaskName, frozenset[str] | None] = {
        name: frozenset(paths[file] for file in files) if files <= paths.keys() else None
        for name, files in included.items()
    }
    return found | dict.fromkeys(stale, None)


def _is_stale(at: object, anew: datetime | None) -> bool:
    decided = parse_time(at)
    return anew is not None and (decided is None or decided < anew)
