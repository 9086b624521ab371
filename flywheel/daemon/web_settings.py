"""The dashboard's part of the settings."""

from pathlib import Path

from pydantic import Field, field_validator

from flywheel.core.frozen import Frozen


class WebSection(Frozen):
    """The dashboard: whether the daemon starts it, where it listens, and whom it lets in.

    A token file without a folder is a credential of the unit (`LoadCredential=`).
    """

    enabled: bool = True
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8712, ge=0, le=65535)
    hosts: tuple[str, ...] = ()
    sign_in: bool = False
    token_file: Path | None = None

    @field_validator("token_file")
    @classmethod
    def _expanded(cls, path: Path | None) -> Path | None:
        if path is None or path.name == str(path):
            return path
        return path.expanduser().absolute()
