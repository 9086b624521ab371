"""Which opencode wrote a file, and what of it may be read: told by tables, columns, migrations and session versions.

Fails closed: what is not known is refused by name, and the rest is read. Tables that hold secrets cannot be read at
all: the connection itself denies them.
"""

import re
import sqlite3
from collections.abc import Collection, Mapping
from types import MappingProxyType

from flywheel.core.frozen import Frozen
from flywheel.sources.connections import columns_of
from flywheel.sources.problems import SourceProblemError
from flywheel.sources.readings import Refusal

SECRET_TABLES = frozenset({"account", "account_state", "control_account", "credential", "session_share"})

_V1: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "session": frozenset({"id", "project_id", "parent_id", "directory", "version", "revert", "time_created",
                              "time_updated"}),
        "message": frozenset({"id", "session_id", "time_created", "time_updated", "data"}),
        "part": frozenset({"id", "message_id", "session_id", "time_updated", "data"}),
    }
)  # fmt: skip
_V2: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "session_v2": _V1["session"],
        "session_message": frozenset({"id", "session_id", "type", "seq", "time_created", "time_updated", "data"}),
    }
)
_NEXT = re.compile(r"(?:session|message|part)_v\d+")

# The migrations of 1.2 to 1.18. A file of 2.0 has more of them, which nobody here has seen: it is told by its columns.
_MIGRATION_NAMES = """
    20260127222353_familiar_lady_ursula 20260211171708_add_project_commands 20260213144116_wakeful_the_professor
    20260225215848_workspace 20260227213759_add_session_workspace_id 20260228203230_blue_harpoon
    20260303231226_add_workspace_fields 20260309230000_move_org_to_state 20260312043431_session_message_cursor
    20260323234822_events 20260410174513_workspace-name 20260413175956_chief_energizer
    20260423070820_add_icon_url_override 20260427172553_slow_nightmare 20260428004200_add_session_path
    20260501142318_next_venus 20260504145000_add_sync_owner 20260507164347_add_workspace_time
    20260510033149_session_usage 20260511000411_data_migration_state 20260511173437_session-metadata
    20260601010001_normalize_storage_paths 20260601202201_amazing_prowler 20260602002951_lowly_union_jack
    20260602182828_add_project_directories 20260603001617_session_message_projection_indexes
    20260603040000_session_message_projection_order 20260603141458_session_input_inbox
    20260603160727_jittery_ezekiel_stane 20260604172448_event_sourced_session_input
    20260605003541_add_session_context_snapshot 20260605042240_add_context_epoch_agent 20260611035744_credential
    20260611192811_lush_chimera 20260612174303_project_dir_strategy 20260622142730_simplify_session_context_epoch
    20260622170816_reset_v2_session_state 20260622202450_simplify_session_input
"""
_MIGRATIONS = frozenset(_MIGRATION_NAMES.split())
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,5})\.(\d{1,9})(?:[-+][\w.+-]{0,60})?")
_NEWEST_MINOR = {0: 9999, 1: 18, 2: 0}  # by major number: what was seen, or read from its schema


class Layout(Frozen):
    """What of a file may be read, and what had to be refused."""

    v1: bool
    v2: bool
    sequences: bool
    projects: bool
    refusals: tuple[Refusal, ...] = ()


def layout_of(connection: sqlite3.Connection) -> Layout:
    """Tell what a file holds; raises SourceProblemError when it is no opencode database that is known."""
    tables = {str(row[0]) for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    refusals: list[Refusal] = []
    found = {name: _fits(connection, tables, needed, refusals) for name, needed in (("v1", _V1), ("v2", _V2))}
    refusals += [_unknown(name, "a table of a newer opencode") for name in sorted(tables)
                 if _NEXT.fullmatch(name) and name not in _V2]  # fmt: skip
    if not any(found.values()):
        why = "; ".join(refusal.reason for refusal in refusals) or "it has no table of sessions"
        raise SourceProblemError(f"is no opencode database that is known: {why}", "a newer flywheel may know it")
    refusals += [] if found["v2"] else _strange_migrations(connection, tables)
    sequences = {"aggregate_id", "seq"} <= set(columns_of(connection, "event_sequence"))
    projects = {"id", "worktree"} <= set(columns_of(connection, "project"))
    return Layout(v1=found["v1"], v2=found["v2"], sequences=sequences, projects=projects, refusals=tuple(refusals))


def is_known_version(version: object) -> bool:
    """Tell whether sessions of this version can be read; what is no release (a build from source) is not known."""
    found = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if found is None:
        return False
    major, minor, patch = (int(found[part]) for part in (1, 2, 3))
    return (major, minor, patch) != (0, 0, 0) and minor <= _NEWEST_MINOR.get(major, -1)


def deny_secrets(connection: sqlite3.Connection) -> None:
    """Make the connection refuse to read any table that holds secrets, whatever it is asked."""
    connection.set_authorizer(_may)


def _may(action: int, table: str | None, column: str | None, database: str | None, trigger: str | None) -> int:  # noqa: ARG001
    if action == sqlite3.SQLITE_READ and table is not None and table.lower() in SECRET_TABLES:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _fits(
    connection: sqlite3.Connection,
    tables: Collection[str],
    needed: Mapping[str, frozenset[str]],
    refusals: list[Refusal],
) -> bool:
    first = next(iter(needed))
    if first not in tables:
        return False
    for table, columns in needed.items():
        missing = columns - set(columns_of(connection, table))
        if missing:
            refusals.append(_unknown(table, f"table {table} has no column {', '.join(sorted(missing))}"))
            return False
    return True


def _strange_migrations(connection: sqlite3.Connection, tables: Collection[str]) -> list[Refusal]:
    ledger = {"migration": "id", "__drizzle_migrations": "name"}
    names = {
        row[0]
        for table, column in ledger.items()
        if table in tables and column in columns_of(connection, table)
        for row in connection.execute(f"SELECT {column} FROM {table}")  # noqa: S608 - both are ours
    }
    strange = sorted(name for name in names if isinstance(name, str) and name not in _MIGRATIONS)
    shown = [name for name in strange if re.fullmatch(r"[\w.-]{1,100}", name)]
    return [Refusal(row=f"schema/migration/{name}", rule="unknown-migration",
                    reason=f"a newer opencode changed the file by {name}; sessions of known versions are read")
            for name in shown[:10]]  # fmt: skip


def _unknown(table: str, reason: str) -> Refusal:
    return Refusal(row=f"schema/{table}", rule="unknown-schema", reason=reason)
