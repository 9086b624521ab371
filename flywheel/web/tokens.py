"""The token that a person shows to act, and to read where others could knock; a signed-in browser keeps its proof."""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from flywheel.core.errors import SettingsError
from flywheel.daemon.notification_settings import CREDENTIALS
from flywheel.proc.files import write_file

TOKEN_FILE = "web.token"  # noqa: S105 - where it lies, not what it is
SESSION_HOURS = 12
_LEAST = 16


class Keeper:
    """Knows the token and what follows from it. Proofs are made from the token: a new token ends every session."""

    def __init__(self, token: str) -> None:
        """Keep the token, in memory alone."""
        self._token = token.encode()
        self.form = self._proof("form")

    def knows(self, token: str) -> bool:
        """Tell whether this is the token."""
        return hmac.compare_digest(_bytes(token.strip()), self._token)

    def session(self, now: datetime) -> str:
        """Return what a browser that showed the token keeps: its end, and the proof that we set it."""
        ends = str(int((now + timedelta(hours=SESSION_HOURS)).timestamp()))
        return f"{ends}.{self._proof(f'session until {ends}')}"

    def is_session(self, kept: str, now: datetime) -> bool:
        """Tell whether a browser was given this, and its end has not come."""
        ends, _, proof = kept.partition(".")
        ours = hmac.compare_digest(_bytes(proof), self._proof(f"session until {ends}").encode())
        return ours and int(ends) > now.timestamp()

    def is_form(self, proof: str) -> bool:
        """Tell whether a form was made by us for somebody who is signed in."""
        return hmac.compare_digest(_bytes(proof), self.form.encode())

    def _proof(self, purpose: str) -> str:
        return hmac.new(self._token, _bytes(f"flywheel web: {purpose}"), hashlib.sha256).hexdigest()


def _bytes(text: str) -> bytes:
    """Return the bytes of what somebody sent, whatever it holds."""
    return text.encode("utf-8", "backslashreplace")


def read_token(path: Path) -> str:
    """Return the token of a file, or of the unit's credential; refuse one that is too short to keep anybody out."""
    try:
        token = _place(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"web.token_file {path} cannot be read", "one line of ASCII that flywheel can read"
        ) from error
    if len(token) < _LEAST:
        raise SettingsError(f"web.token_file {path} holds fewer than {_LEAST} characters", "write a longer token")
    return token


def _place(path: Path) -> Path:
    """Return where a file lies: a bare name is a credential, alone or of a folder of them, as systemd calls it."""
    folder = os.environ.get(CREDENTIALS)
    if folder is None or path.name != str(path):
        return path
    found = [Path(folder) / name for name in (path.name, f"flywheel_{path.name}")]
    return next((place for place in found if place.is_file()), found[0])


def own_token(home: Path) -> str:
    """Return the home's token, made at the first call and readable by its owner alone."""
    path = home / TOKEN_FILE
    try:
        if not path.exists():
            _make(path)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}", "check home and its permissions") from error
    return read_token(path)


def _make(path: Path) -> None:
    """Write a new token; of two that are made at once one stays."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    write_file(temporary, secrets.token_urlsafe(24).encode() + b"\n", mode=0o600)
    try:
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
