"""What a frozen dataset and a promoted adapter look like in a clean-room agent's own training tables. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from flywheel.core.examples import DatasetManifest
from flywheel.core.lines import Line
from flywheel.core.releases import Release, ReleaseState

Role = Literal["coding", "reasoning", "classifier"]
Row = dict[str, Any]

#: The agent's role for each kind of call; every other kind is reasoning.
_ROLES: Mapping[str, Role] = {
    "execute_implement": "coding",
    "execute_function_implement": "coding",
    "execute_test_implement": "coding",
    "execute_scaffold": "coding",
    "scope": "classifier",
    "similarity": "classifier",
}
_STAGE = "stage:"
OURS = "flywheel"  # how what we wrote begins, so that it is known again


class DatasetRows(NamedTuple):
    """A plan and its dataset, without the ids that the database gives."""

    plan: Row
    dataset: Row


def stage_of(line: Line) -> str:
    """Return the one kind of call the line learns, or the line's name when it learns several."""
    kinds = calls_of(line)
    return kinds[0] if len(kinds) == 1 else line.name


def role_of(line: Line, roles: Mapping[str, Role]) -> Role:
    """Return which of the agent's models the line is for: as the settings say, else as its kinds of call do."""
    if line.name in roles:
        return roles[line.name]
    found = {role_of_call(kind) for kind in calls_of(line)}
    return found.pop() if len(found) == 1 else "reasoning"


def role_of_call(kind: str) -> Role:
    """Return which of the agent's models answers a kind of call."""
    return _ROLES.get(kind, "reasoning")


def calls_of(line: Line) -> list[str]:
    """Return the kinds of call a line selects, by name or by tag, sub-stages with their stage."""
    tags = [tag.removeprefix(_STAGE).partition("/")[0] for tag in line.select.tags if tag.startswith(_STAGE)]
    return sorted({*line.select.call_types, *tags})


def dataset_rows(
    line: Line, role: Role, manifest: DatasetManifest, folder: Path, origins: Sequence[str]
) -> DatasetRows:
    """Return the rows that tell of a frozen dataset; `task_id` and the path hold its hash, by which they are known."""
    at = manifest.created_at.isoformat()
    both = {"base_model": role, "source": _source(origins), "timestamp": at}
    criteria = {"line": line.name, "select": line.select.model_dump(mode="json"), "left_out": manifest.left_out,
                "minimum_confidence": line.labels.minimum_confidence}  # fmt: skip
    plan = {
        "by": OURS,
        "dataset": manifest.hash,
        "line": line.name,
        "number": manifest.number,
        "parent": manifest.parent,
    }
    return DatasetRows(
        plan={
            **both,
            "task_id": f"{OURS}:{manifest.hash}",
            "target_stage": stage_of(line),
            "data_criteria": _json(criteria),
            "hyperparameters": _json(line.train.hyperparameters.model_dump(mode="json")),
            "raw_plan": _json(plan),
        },
        dataset={
            **both,
            "stage_name": stage_of(line),
            "dataset_path": str(folder),
            "example_count": manifest.examples,
            "positive_count": manifest.examples,
            "negative_count": 0,
            "format": "jsonl",
        },
    )


def adapter_rows(line: Line, role: Role, releases: Iterable[Release], promoted: Mapping[str, str]) -> list[Row]:
    """Return a row for each adapter that was ever promoted; the one that answers now is active, and no other is.

    `model_tag` is the line: what the agent asks the gateway for. `promoted` says when each was.
    """
    return [
        {
            "stage_name": stage_of(line),
            "base_model": role,
            "model_tag": line.name,
            "version": release.number,
            "active": int(release.state is ReleaseState.ACTIVE),
            "performance_notes": f"{OURS}: {release.name} {release.adapter}, {release.state.value}",
            "deployed_at": promoted[release.name],
        }
        for release in sorted(releases, key=lambda release: release.number)
        if release.name in promoted
    ]


def _source(origins: Sequence[str]) -> str:
    return "synthetic" if origins and "logged" not in origins else "logged"


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
