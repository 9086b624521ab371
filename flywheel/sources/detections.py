"""What stands at a path: which agent wrote it, in which version. Writes nothing, and reads no more than it must."""

import json
import sqlite3
import stat
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from flywheel.core.frozen import Frozen
from flywheel.sources.connections import WatchedDatabase, columns_of
from flywheel.sources.fleets import PATTERN
from flywheel.sources.problems import SourceProblemError
from flywheel.sources.tool_event_shapes import KINDS, NAMES

_MAGIC = b"SQLite format 3\x00"
_GLANCE = 65_536  # bytes of a file that tell whether it is made of JSON lines
_MOST_FILES = 200  # of a folder that are looked at
_RUN_LINES = frozenset({"run_start", "run_end", "vllm_call", "fleet_execution", "architect_decision"})
_STORAGE = ("session", "message")
_LONG = 10  # digits: no part of a version
_LATER_COLUMNS = {
    "retrieval_llm_calls": ("thinking", "sub_stage"),
    "orchestrator_runs": ("git_branch", "error_message"),
    "orchestrator_passes": ("commit_sha",),
}


class Detected(Frozen):
    """What it is. `path` is what a source of the kind would be given; with a `problem` it can be none."""

    kind: str
    path: Path
    version: str = ""
    problem: str = ""
    mend: str = ""


def detect(path: Path) -> Detected:
    """Tell what stands there; raises SourceProblemError where that cannot be told."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _folder(path)
        if not stat.S_ISREG(mode):
            return _no("unknown", path, "is neither a file nor a folder", "check the source's path")
        with path.open("rb") as file:
            head = file.read(_GLANCE)
    except FileNotFoundError:
        where = "its folder is missing" if not path.parent.is_dir() else "there is no such file"
        raise SourceProblemError(f"is not there: {where}", "it is read as soon as it appears") from None
    except OSError as error:
        raise SourceProblemError(f"cannot be reached: {error.strerror}", "check the rights of its folders") from error
    if head.startswith(_MAGIC) or not head:
        return _database(path)
    return _text(path, head)


def _database(path: Path) -> Detected:
    database = WatchedDatabase(path)
    try:
        with database.reading() as connection:
            return _of_tables(path, connection)
    finally:
        database.close()


def _of_tables(path: Path, connection: sqlite3.Connection) -> Detected:
    query = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"
    tables = {name for (name,) in connection.execute(query) if isinstance(name, str)}
    found = _no_source(path, connection, tables) or _a_source(path, connection, tables)
    if found is not None:
        return found
    has = ", ".join(sorted(tables)[:20]) or "no table"
    told = f"is a database of no agent that is known (there is no table task_runs; it has: {has})"
    return _no("unknown", path, told, "map its tables in the source's settings, or check the path")


def _no_source(path: Path, connection: sqlite3.Connection, tables: Collection[str]) -> Detected | None:
    """Return what it is when it stands beside the records of an agent, but is none."""
    calls = set(columns_of(connection, "calls")) if "calls" in tables else set()
    if {"ledger", "outcomes", "cursors"} <= set(tables):
        version = _first(connection, "SELECT version_num FROM alembic_version") if "alembic_version" in tables else ""
        return _no("flywheel-store", path, "is flywheel's own store", "name an agent's record", version)
    if {"alias", "arm", "session"} <= calls:
        mend = "it is read by itself, as the capture of the gateway in the settings' home"
        return _no("gateway-capture", path, "is the gateway's own capture", mend)
    if {"adapter_metadata", "file_metadata"} & set(tables) and not {"task_runs", "retrieval_llm_calls"} & set(tables):
        mend = f"name its raw database: {path.with_name('raw.sqlite')}"
        return _no("clean-room-curated", path, "is the curated database of a clean-room agent", mend)
    if {"runs", "validations"} <= set(tables) and "input_preview" in calls:
        mend = f"name the folder of its {PATTERN} files: {path.parent}"
        return _no("fleet-database", path, "is a fleet's database, which cuts inputs and outputs", mend)
    return None


def _a_source(path: Path, connection: sqlite3.Connection, tables: Collection[str]) -> Detected | None:
    if "retrieval_llm_calls" in tables:
        return Detected(kind="clean-room", path=path, version=_clean_room_version(connection, tables))
    if {"session", "message", "part"} <= set(tables) or "session_v2" in tables:
        return Detected(kind="opencode", path=path, version=_opencode_version(connection, tables))
    return Detected(kind="generic", path=path) if {"task_runs", "llm_calls"} & set(tables) else None


def _clean_room_version(connection: sqlite3.Connection, tables: Collection[str]) -> str:
    missing = [
        f"{table}.{column}" if table in tables else table
        for table, columns in _LATER_COLUMNS.items()
        for column in (columns if table in tables else columns[:1])
        if table not in tables or column not in columns_of(connection, table)
    ]
    return f"an older schema, without {', '.join(missing)}" if missing else "the current schema"


def _opencode_version(connection: sqlite3.Connection, tables: Collection[str]) -> str:
    found = []
    for table, schema in (("session", "V1"), ("session_v2", "V2")):
        if table not in tables:
            continue
        if "version" not in columns_of(connection, table):
            found.append(schema)
            continue
        rows = connection.execute(f"SELECT DISTINCT version FROM {table} LIMIT 100")  # noqa: S608 - the names are ours
        versions = sorted({version for (version,) in rows if isinstance(version, str)}, key=_numbers)
        shown = f" ({versions[0]} to {versions[-1]})" if len(versions) > 1 else f" ({versions[0]})" if versions else ""
        found.append(f"{schema}{shown}")
    return ", ".join(found)


def _numbers(version: str) -> tuple[list[int], str]:
    return [
        int(part) for part in version.split(".") if part.isascii() and part.isdigit() and len(part) < _LONG
    ], version


def _first(connection: sqlite3.Connection, query: str) -> str:
    row = connection.execute(query).fetchone()
    return row[0] if row and isinstance(row[0], str) else ""


def _text(path: Path, head: bytes) -> Detected:
    """Tell what a file is that is no database, by its first lines."""
    types = {kind for value in _objects(head) for kind in _types(value)}
    if types & _RUN_LINES:
        return _no("fleet", path, "is one run of a fleet", f"name its folder: {path.parent}")
    if types & KINDS:
        return _no(
            "tool-events", path, "is one session of a tool-calling agent", f"name its folder: {path.parent.parent}"
        )
    return _no("unknown", path, "is not an SQLite database, nor lines that are known", "check the source's path")


def _objects(head: bytes) -> Iterator[dict[str, object]]:
    for line in head.split(b"\n"):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _types(value: dict[str, object]) -> Iterator[str]:
    return (kind for name in NAMES["event"] if isinstance(kind := value.get(name), str))


def _folder(path: Path) -> Detected:
    next(path.iterdir(), None)  # one that may not be listed is not empty
    for finder in (_clean_room_in, _fleet_in, _opencode_in, _tool_events_in):
        found = finder(path)
        if found is not None:
            return found
    if (path / "flywheel.db").is_file():
        return _no("flywheel-store", path, "is flywheel's own home", "name an agent's record")
    told = "holds nothing of an agent that is known"
    return _no("unknown", path, told, "name the agent's database, or its folder of runs")


def _clean_room_in(path: Path) -> Detected | None:
    inner = [path / "raw.sqlite", path / ".clean_room" / "raw.sqlite"]
    return next((_database(file) for file in inner if file.is_file()), None)


def _fleet_in(path: Path) -> Detected | None:
    inner = next((folder for folder in (path, path / "runs") if _any_file(folder, PATTERN)), None)
    return Detected(kind="fleet", path=inner, version="run logs") if inner is not None else None


def _opencode_in(path: Path) -> Detected | None:
    for inner in (path, path / "storage"):
        if all((inner / name).is_dir() for name in _STORAGE):
            return Detected(kind="opencode", path=inner, version="JSON files")
    return next((_database(file) for file in sorted(path.glob("opencode*.db")) if file.is_file()), None)


def _tool_events_in(path: Path) -> Detected | None:
    files = (file for pattern in ("*.jsonl", "*/*.jsonl") for file in path.glob(pattern))
    told = any(file.is_file() and _detected_kind(file) == "tool-events" for file in islice(files, _MOST_FILES))
    return Detected(kind="tool-events", path=path, version="session events") if told else None


def _any_file(folder: Path, pattern: str) -> bool:
    return any(file.is_file() for file in islice(folder.glob(pattern), _MOST_FILES))


def _detected_kind(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return _text(file, opened.read(_GLANCE)).kind
    except OSError:
        return ""


def _no(kind: str, path: Path, problem: str, mend: str, version: str = "") -> Detected:
    return Detected(kind=kind, path=path, version=version, problem=problem, mend=mend)
