"""The daemon's word to the model servers that they may do what nobody else may ask of them.

The token lies in the home, readable by its owner alone; the servers know its hash.
"""

import hashlib
import os
import secrets
from pathlib import Path

from flywheel.proc.files import write_file

TOKEN_FILE = "server.token"  # noqa: S105 - where it lies, not what it is
TOKEN_HEADER = "x-flywheel-token"  # noqa: S105
_BYTES = 32


def server_token(home: Path) -> str:
    """Return the token, made at the first call; an empty one where the home cannot be read or written."""
    path = home / TOKEN_FILE
    try:
        return read_token(home) or _make(path)
    except OSError:
        return ""


def read_token(home: Path) -> str:
    """Return the token, empty where there is none yet."""
    try:
        return (home / TOKEN_FILE).read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return ""


def token_hash(token: str) -> str:
    """Return what a server is told: the token's sha256."""
    return hashlib.sha256(token.encode()).hexdigest()


def _make(path: Path) -> str:
    """Write a new token; of two that are made at once one stays, and both callers return it."""
    token = secrets.token_urlsafe(_BYTES)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    write_file(temporary, token.encode() + b"\n", mode=0o600)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)
    return read_token(path.parent)
