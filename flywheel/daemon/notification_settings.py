"""What the person says about notifications: one address, how it is reached, and what it wants to hear of."""

import difflib
import os
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from flywheel.core.errors import SettingsError
from flywheel.core.frozen import Frozen
from flywheel.daemon.notification_kinds import KINDS, USUAL

#: Where systemd puts what a unit's LoadCredential= names.
CREDENTIALS = "CREDENTIALS_DIRECTORY"


class NotifySettings(Frozen):
    """One address: a webhook (its URL here, in the environment or in a file) or a command.

    A file without a folder is a credential of the unit (`LoadCredential=`).
    """

    name: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    url: str | None = None
    url_env: str | None = None
    url_file: Path | None = None
    command: tuple[str, ...] = ()
    kinds: tuple[str, ...] = USUAL
    lines: tuple[str, ...] = ()
    secret_env: str | None = None
    secret_file: Path | None = None
    token_env: str | None = None
    token_file: Path | None = None
    timeout_seconds: float = Field(default=10, gt=0, le=300)
    give_up_hours: float = Field(default=24, gt=0)

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        return checked_url(url) if url is not None else None

    @field_validator("kinds")
    @classmethod
    def _known(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        for kind in kinds:
            if kind not in KINDS:
                near = difflib.get_close_matches(kind, KINDS, n=1)
                msg = f"no notification is called {kind!r}" + (f"; did you mean {near[0]!r}?" if near else "")
                raise ValueError(msg)
        return kinds

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        ways = [way for way in (self.url, self.url_env, self.url_file, self.command) if way]
        if len(ways) != 1:
            msg = f"{self.name!r} needs one of url, url_env, url_file and command"
            raise ValueError(msg)
        for first, second in (("secret_env", "secret_file"), ("token_env", "token_file")):
            if getattr(self, first) and getattr(self, second):
                msg = f"{self.name!r} has both {first} and {second}"
                raise ValueError(msg)
        return self

    def address(self) -> str:
        """Return the webhook's URL, wherever it is kept; raises SettingsError where it is not."""
        return self.url or _checked(self._kept(self.url_env, self.url_file, "URL"))

    def secret(self) -> str:
        """Return what bodies are signed with; empty where none is set."""
        return self._kept(self.secret_env, self.secret_file, "secret") if self.secret_env or self.secret_file else ""

    def token(self) -> str:
        """Return what opens the webhook; empty where none is set."""
        return self._kept(self.token_env, self.token_file, "token") if self.token_env or self.token_file else ""

    def _kept(self, variable: str | None, file: Path | None, what: str) -> str:
        if variable is not None:
            found, where = os.environ.get(variable, "").strip(), f"the variable {variable}"
        else:
            assert file is not None
            found, where = _read(file), str(file)
        if not found:
            raise SettingsError(f"the {what} of {self.name!r} is not in {where}", "see docs/notifications.md")
        return found


def checked_url(url: str) -> str:
    """Return a webhook's URL; raises ValueError, without the URL's own words, for what is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
        well = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        well = False
    if not well:
        msg = "that is no webhook's URL: write it like https://example.org/hook"
        raise ValueError(msg)
    return url


def _checked(url: str) -> str:
    try:
        return checked_url(url)
    except ValueError as error:
        raise SettingsError(str(error), "see docs/notifications.md") from error


def _read(file: Path) -> str:
    """Return what stands in the first place that can be read; nothing where none can."""
    for place in _places(file):
        try:
            return place.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
    return ""


def _places(file: Path) -> tuple[Path, ...]:
    if file.name != str(file):
        return (file.expanduser(),)
    # One that was loaded by itself, then one of the folder that the shipped units load whole, as `flywheel`.
    folder = os.environ.get(CREDENTIALS)
    return (Path(folder) / file, Path(folder) / f"flywheel_{file}") if folder else ()
