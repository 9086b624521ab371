"""What the person says about a source. One class a kind; the kinds are a closed registry in `registries`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from flywheel.core.frozen import Frozen
from flywheel.core.makings import SHELF_SOURCE

BOOTSTRAP = SHELF_SOURCE  # the name of the built-in source: what a cold start made


class Source(Frozen):
    """What every source has: a name, a place, and which repos are the person's own (None: all of them).

    With `scan_personal`, what belongs to a person (e-mail addresses, phone numbers, accounts, cards) is named instead.
    """

    name: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    path: Path
    own_repos: tuple[str, ...] | None = None
    scan_personal: bool = False

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        if not path.is_absolute():
            msg = "a source's path is absolute"
            raise ValueError(msg)
        return path


class GenericSource(Source):
    """Settings of a generic source; a column map is only needed where the usual names do not stand."""

    kind: Literal["generic"] = "generic"
    tasks_table: str = "task_runs"
    calls_table: str = "llm_calls"
    task_columns: dict[str, str] = Field(default_factory=dict)
    call_columns: dict[str, str] = Field(default_factory=dict)
    trust_task_success: bool = True


class CleanRoomSource(Source):
    """Settings of a clean-room agent's `raw.sqlite`; its `curated.sqlite` is looked for beside it.

    The agent sets `task_runs.success` before any code is written: it counts only where `trust_task_success` says so.
    With `write_back`, its training tables are told of datasets and adapters; `roles` says for which of its models a
    line is, where the line's kinds of call do not.
    """

    kind: Literal["clean-room"] = "clean-room"
    curated: Path | None = None
    trust_task_success: bool = False
    crash_minutes: float = Field(default=120, gt=0)
    write_back: bool = False
    roles: dict[str, Literal["coding", "reasoning", "classifier"]] = Field(default_factory=dict)


class OpencodeSource(Source):
    """Settings of an opencode database, or of the `storage` folder that older versions write."""

    kind: Literal["opencode"] = "opencode"
    quiet_seconds: float = Field(default=60, ge=0)


class FleetSource(Source):
    """Settings of a folder of `run-*.jsonl` files."""

    kind: Literal["fleet"] = "fleet"


class ToolEventsSource(Source):
    """Settings of a tool-calling agent's events: a folder of `{project}/{session}.jsonl`."""

    kind: Literal["tool-events"] = "tool-events"
    rollback_days: float = Field(default=7, ge=0)
    minimum_quality: float = Field(default=0.8, ge=0, le=1)


SOURCES: tuple[type[Source], ...] = (GenericSource, CleanRoomSource, OpencodeSource, FleetSource, ToolEventsSource)

SourceSettings = Annotated[
    GenericSource | CleanRoomSource | OpencodeSource | FleetSource | ToolEventsSource, Field(discriminator="kind")
]
