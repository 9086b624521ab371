"""What the person says about a source. One class a kind; the kinds are a closed registry in `registries`."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from flywheel.core.frozen import Frozen


class GenericSource(Frozen):
    """Settings of a generic source; a column map is only needed where the usual names do not stand."""

    name: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    path: Path
    kind: Literal["generic"] = "generic"
    tasks_table: str = "task_runs"
    calls_table: str = "llm_calls"
    task_columns: dict[str, str] = Field(default_factory=dict)
    call_columns: dict[str, str] = Field(default_factory=dict)
    trust_task_success: bool = True
    own_repos: tuple[str, ...] | None = None

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        if not path.is_absolute():
            msg = "a source's path is absolute"
            raise ValueError(msg)
        return path
