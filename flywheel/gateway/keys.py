"""The keys of the door: what is kept of them is a name and a hash, in a file that its owner alone may read.

A key is 256 random bits, so that a plain SHA-256 of it gives nothing away. With the first key the daemon gets one of
its own, in a file beside: it asks the gateway what is on its way.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints, TypeAdapter, ValidationError

from flywheel.core.errors import MisuseError, PermanentError, SettingsError
from flywheel.core.frozen import Frozen
from flywheel.gateway.headers import KEY_PREFIX

OWN = "flywheel"  # the name of the daemon's own key

_BYTES = 32
_PRIVATE = 0o600
_ROOT = 0

KeyName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
_NAME: TypeAdapter[str] = TypeAdapter(KeyName)


class Key(Frozen):
    """What is kept of a key: who has it, its hash, and since when."""

    name: KeyName
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    created_at: datetime


class _Keys(Frozen):
    keys: tuple[Key, ...] = ()


def gateway_key_file(home: Path) -> Path:
    """Return where the keys of a home are kept."""
    return home / "gateway-keys.json"


def digest(key: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class KeyFile:
    """The file of the keys. It is written whole, by one at a time."""

    def __init__(self, path: Path) -> None:
        """Remember where; nothing is opened yet."""
        self.path = path

    @property
    def own(self) -> Path:
        """Return the file that holds the daemon's own key."""
        return self.path.with_name("gateway-daemon.key")

    def own_key(self) -> str:
        """Return the daemon's own key; empty where it has none."""
        try:
            return self.own.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def read(self) -> tuple[Key, ...]:
        """Return the keys; none where there is no file. Raises SettingsError when there is one that says nothing."""
        try:
            return _Keys.model_validate_json(self.path.read_bytes()).keys
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not what `flywheel gateway key` writes"
            raise SettingsError(
                f"the gateway's keys in {self.path} cannot be read: {why}",
                "mend the file, or remove it and add keys anew",
            ) from error

    def add(self, name: str, at: datetime) -> str:
        """Return a new key for `name`: it is told this once and kept nowhere."""
        _check(name)
        with self._changing() as keys:
            if any(key.name == name for key in keys):
                raise MisuseError(
                    f"there is a key {name!r} already", f"remove it first: flywheel gateway key remove {name}"
                )
            if not any(key.name == OWN for key in keys):
                keys.append(self._make_own(at))
            secret = _new()
            keys.append(Key(name=name, sha256=digest(secret), created_at=at))
            self._write(keys)
        return secret

    def remove(self, name: str) -> None:
        """Let the key of `name` open nothing any more; with the last one the daemon's goes, too."""
        with self._changing() as keys:
            left = [key for key in keys if key.name != name]
            if len(left) == len(keys) or name == OWN:
                names = ", ".join(key.name for key in keys if key.name != OWN) or "none"
                raise MisuseError(f"there is no key {name!r}", f"there are: {names}")
            if all(key.name == OWN for key in left):
                left = []
            self._write(left)
            if not left:
                self.own.unlink(missing_ok=True)

    @contextmanager
    def _changing(self) -> Iterator[list[Key]]:
        home = self.path.parent
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(home):
                yield list(self.read())
        except OSError as error:
            raise PermanentError(
                f"the gateway's keys in {self.path} cannot be written: {error.strerror}", "see who may write there"
            ) from error

    def _make_own(self, at: datetime) -> Key:
        secret = _new()
        _write_private(self.own, secret.encode() + b"\n")
        return Key(name=OWN, sha256=digest(secret), created_at=at)

    def _write(self, keys: list[Key]) -> None:
        _write_private(self.path, _Keys(keys=tuple(keys)).model_dump_json(indent=2).encode() + b"\n")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _check(name: str) -> None:
    try:
        _NAME.validate_python(name)
    except ValidationError as error:
        raise MisuseError(
            f"{name!r} is no name for a key",
            "use letters, digits and . _ @ -, at most 64, beginning with a letter or digit",
        ) from error
    if name == OWN:
        raise MisuseError(f"{name!r} is the daemon's own key", "take another name")


def _new() -> str:
    key = secrets.token_urlsafe(_BYTES)
    # One in 1,400 has no digit; flywheel's own scan for secrets knows a key by one.
    return KEY_PREFIX + key if any(map(str.isdigit, key)) else _new()


def _write_private(path: Path, data: bytes) -> None:
    """Replace the file whole; where root writes into somebody's home, it is theirs."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        if os.geteuid() == _ROOT:
            home = path.parent.stat()
            os.fchown(descriptor, home.st_uid, home.st_gid)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    fresh.rename(path)
