"""Which column of somebody else's table means what: the usual names, or what the settings say. Pure."""

import difflib
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from flywheel.core.errors import SettingsError

USUAL_TASK_COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "task": ("task_id", "task", "run_id", "id"),
        "success": ("success", "succeeded", "is_success", "passed", "ok"),
        "created_at": ("created_at", "started_at", "timestamp", "at", "start_time"),
        "finished_at": ("finished_at", "completed_at", "ended_at", "end_time", "updated_at"),
        "session": ("session", "session_id", "conversation_id"),
        "repo": ("repo", "repo_path", "repository", "project", "workspace"),
    }
)
USUAL_CALL_COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "task": ("task_id", "task", "run_id", "task_run_id"),
        "call_type": ("call_type", "stage", "stage_name", "kind", "type"),
        "model": ("model", "model_name"),
        "system": ("system_prompt", "system"),
        "messages": ("messages", "messages_json"),
        "prompt": ("prompt", "user_prompt", "input"),
        "response": ("response", "response_text", "output", "completion", "answer"),
        "at": ("timestamp", "created_at", "at", "started_at"),
        "success": ("call_success",),
        "error": ("error", "error_message"),
        "latency_ms": ("latency_ms", "latency"),
        "prompt_tokens": ("prompt_tokens", "input_tokens"),
        "completion_tokens": ("completion_tokens", "output_tokens"),
    }
)
_NEEDED_TASK_COLUMNS = ("task", "success")
_NEEDED_CALL_COLUMNS = ("task", "response")

Mapped = Mapping[str, str]


def map_task_columns(table: str, present: Sequence[str], wanted: Mapped) -> dict[str, str]:
    """Return meaning -> column for the tasks table; raises SettingsError when one that is needed is missing."""
    mapped = _mapped(table, present, wanted, USUAL_TASK_COLUMNS)
    _require(table, mapped, _NEEDED_TASK_COLUMNS, present, USUAL_TASK_COLUMNS)
    return mapped


def map_call_columns(table: str, present: Sequence[str], wanted: Mapped) -> dict[str, str]:
    """Return meaning -> column for the calls table; raises SettingsError when one that is needed is missing."""
    mapped = _mapped(table, present, wanted, USUAL_CALL_COLUMNS)
    _require(table, mapped, _NEEDED_CALL_COLUMNS, present, USUAL_CALL_COLUMNS)
    if "prompt" not in mapped and "messages" not in mapped:
        _require(table, mapped, ("prompt",), present, USUAL_CALL_COLUMNS)
    return mapped


def _mapped(table: str, present: Sequence[str], wanted: Mapped, usual: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    by_lower = {name.lower(): name for name in present}
    for meaning, column in wanted.items():
        _check_wanted(table, meaning, column, by_lower, usual)
    mapped = {meaning: by_lower[column.lower()] for meaning, column in wanted.items()}
    for meaning, names in usual.items():
        found = next((by_lower[name] for name in names if name in by_lower), None)
        if meaning not in mapped and found is not None:
            mapped[meaning] = found
    return mapped


def _check_wanted(
    table: str, meaning: str, column: str, by_lower: Mapped, usual: Mapping[str, tuple[str, ...]]
) -> None:
    if meaning not in usual:
        raise SettingsError(f"columns of {table} are not mapped by {meaning!r}", f"known: {', '.join(usual)}")
    if column.lower() not in by_lower:
        near = difflib.get_close_matches(column.lower(), by_lower, n=1)
        mend = f"did you mean {by_lower[near[0]]!r}?" if near else f"it has: {', '.join(by_lower.values())}"
        raise SettingsError(f"table {table} has no column {column!r}, which is mapped to {meaning}", mend)


def _require(
    table: str,
    mapped: Mapped,
    needed: Sequence[str],
    present: Sequence[str],
    usual: Mapping[str, tuple[str, ...]],
) -> None:
    if not present:
        raise SettingsError(f"there is no table {table}", "name the agent's table in the source's settings")
    for meaning in needed:
        if meaning not in mapped:
            names = ", ".join(usual[meaning])
            raise SettingsError(
                f"table {table} has no column for {meaning} (looked for {names})", "map it in the source's settings"
            )
