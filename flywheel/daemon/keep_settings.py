"""The `[keep]` section: where backups go, and how long what nobody needs is kept."""

from pathlib import Path

from pydantic import Field, field_validator

from flywheel.core.frozen import Frozen


class KeepSection(Frozen):
    """What is kept, for how long; 0 days keeps for ever."""

    backups: Path | None = None
    backups_kept: int = Field(default=7, ge=0)
    run_days: float = Field(default=30, ge=0, le=36500)
    trial_days: float = Field(default=30, ge=0, le=36500)
    adapter_days: float = Field(default=90, ge=0, le=36500)
    dataset_days: float = Field(default=0, ge=0, le=36500)
    tidy: str | None = None

    @field_validator("backups")
    @classmethod
    def _at_home(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path is not None else None
