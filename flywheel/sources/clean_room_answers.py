"""Reading a clean-room model's answer the way the agent does: verdicts, JSON plans, edit blocks. Pure, never raises.

What the agent cannot parse it drops, or takes for a no: such an answer is evidence against itself.
"""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from flywheel.sources.clean_room_names import TaskName

_EDIT = re.compile(r'<edit\s+file="([^"]+)">(.*?)</edit>', re.DOTALL)
_FENCED = re.compile(r"```[a-zA-Z]*\s*\n(.*?)```", re.DOTALL)
_ASKS_YES_OR_NO = re.compile(r"\byes\b[^A-Za-z]{0,6}\bor\b[^A-Za-z]{0,6}\bno\b", re.IGNORECASE)
_MOST_JSON = 1_000_000
_DEEPEST = 100

_RELEVANT = frozenset({"relevant", "yes"})

_PLAN_KEYS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "meta_plan": ("parts", "task_summary"),
        "part_plan": ("steps", "task_summary"),
        "test_plan": ("steps", "task_summary"),
        "adjust": ("revised_steps", "rationale"),
        "change_point_enum": ("change_points", "task_summary"),
        "part_grouping": ("parts", "parts"),
        "symbol_targeting": ("targets", "part_id"),
        "step_design": ("steps", "task_summary"),
        "adjustment_finalize": ("revised_steps", "rationale"),
        "interface_enum": ("functions", "types"),
    }
)  # pass -> (its list, another key it needs)
_MAY_BE_EMPTY = frozenset({"revised_steps", "functions"})
_CODE_CALLS = frozenset({"execute_implement", "execute_test_implement", "execute_function_implement"})
_VERDICT_CALLS = frozenset({"scope", "precision", "similarity", "stage_routing", "select_kb_patterns"})
_PLAN_CALLS = frozenset({"execute_plan", "execute_adjust"})
_WANTED_JSON: Mapping[str, type] = MappingProxyType(
    {"scope": list, "precision": list, "similarity": list, "assembly_refilter": list, "stage_routing": dict,
     "enrichment": dict}
)  # fmt: skip


class Edit(NamedTuple):
    """One search-and-replace block."""

    file: str
    search: str
    replacement: str


def edits_of(text: str) -> tuple[Edit, ...] | None:
    """Return the edits of an answer, or None when the agent could not take it."""
    found = []
    for file, block in _EDIT.findall(text):
        search, replacement = _between(block, "search"), _between(block, "replacement")
        if not file.strip() or not search or replacement is None:
            return None
        found.append(Edit(file.strip(), search, replacement))
    return tuple(found) or None


def verdict_of(text: str) -> bool | None:
    """Return a yes or no, also when it comes as the small JSON object that the agent takes."""
    word = text.strip().lower()
    if word in {"yes", "no"}:
        return word == "yes"
    held = json_of(word)
    if not isinstance(held, dict):
        return None
    if "verdict" in held:
        return held["verdict"] is True or (isinstance(held["verdict"], str) and held["verdict"] in _RELEVANT)
    return bool(held["keep"]) if "keep" in held else None


def json_of(text: str) -> Any:
    """Return the JSON value of an answer, fenced or not; None when there is none."""
    fenced = _FENCED.search(text)
    body = (fenced[1] if fenced else text).strip()
    if len(body) > _MOST_JSON or body.count("[") + body.count("{") > _MOST_JSON // 4:
        return None
    try:
        held = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return held if _depth(held) <= _DEEPEST else None


def plan_of(text: str, kind: str) -> dict[str, Any] | None:
    """Return a plan of this kind, or None when it lacks what the agent needs of it."""
    held = json_of(text)
    items, other = _PLAN_KEYS[kind]
    if not isinstance(held, dict) or other not in held or not isinstance(held.get(items), list):
        return None
    if not held[items] and items not in _MAY_BE_EMPTY:
        return None
    if not all(isinstance(item, dict) for item in held[items]):
        return None
    return held if items not in {"parts", "steps"} or _ids_fit(held[items]) else None


def plan_kind(name: TaskName, sub_stage: str) -> str:
    """Return which plan a planning call is asked for; empty for the small questions around it."""
    kind = sub_stage or name.kind or "meta_plan"
    return kind if kind in _PLAN_KEYS else ""


def complaint(call_type: str, sub_stage: str, name: TaskName, system: str, text: str) -> str:
    """Return why the agent could not take an answer; empty when it could, or when nobody can tell."""
    if not text.strip():
        return "nothing was answered"
    if call_type in _CODE_CALLS:
        return "" if edits_of(text) else "no edit block in it can be read"
    if call_type == "documentation":
        return "" if "<edit" not in text or edits_of(text) else "its edit blocks cannot be read"
    if asks_verdict(call_type, system):
        return "" if verdict_of(text) is not None else "neither yes nor no"
    return _json_complaint(call_type, plan_kind(name, sub_stage), text)


def _json_complaint(call_type: str, kind: str, text: str) -> str:
    if call_type in _PLAN_CALLS:
        return "" if not kind or plan_of(text, kind) is not None else "not the plan that was asked for"
    wanted = _WANTED_JSON.get(call_type)
    return "" if wanted is None or isinstance(json_of(text), wanted) else "not the JSON that was asked for"


def asks_verdict(call_type: str, system: str) -> bool:
    """Tell whether the question is one of yes or no: older agents ask the same stages for JSON."""
    known = call_type in _VERDICT_CALLS or call_type in _PLAN_CALLS
    return known and _ASKS_YES_OR_NO.search(system) is not None


def _between(block: str, tag: str) -> str | None:
    start, end = block.find(f"<{tag}>"), block.rfind(f"</{tag}>")
    if start < 0 or end <= start:
        return None
    inside = block[start + len(tag) + 2 : end].replace("\r\n", "\n")
    return inside.removeprefix("\n").removesuffix("\n")


def _ids_fit(items: list[dict[str, Any]]) -> bool:
    ids = [item.get("id") for item in items]
    if not all(isinstance(one, str) and one for one in ids) or len(set(ids)) != len(ids):
        return False
    needs = [item.get("depends_on", []) for item in items]
    return all(isinstance(need, list) and all(one in ids for one in need) for need in needs)


def _depth(held: Any) -> int:
    level, deepest = [held], 0
    while level and deepest <= _DEEPEST:
        level = [inner for one in level for inner in _inside(one)]
        deepest += bool(level)
    return deepest


def _inside(one: Any) -> list[Any]:
    values = list(one.values()) if isinstance(one, dict) else one if isinstance(one, list) else []
    return [value for value in values if isinstance(value, dict | list)]
