"""The keys in force: follows their file, and keeps those it had when that is bad, because a door fails closed."""

from collections.abc import Mapping

import structlog

from flywheel.core.clocks import Clock
from flywheel.core.errors import SettingsError
from flywheel.gateway.headers import KEY_HEADERS
from flywheel.gateway.keys import KeyFile, digest

log = structlog.get_logger(__name__)

_BEARER = "bearer "
_LOOK_SECONDS = 0.5

Signature = tuple[int, int, int] | None


class Keyring:
    """Tells whose key a request carries. Keys that were added or removed are in force within a second."""

    def __init__(self, file: KeyFile, clock: Clock) -> None:
        """Read the keys; raises SettingsError when they cannot be read."""
        self._file = file
        self._clock = clock
        self._seen = self._signature()
        self._names = {key.sha256: key.name for key in file.read()}
        self._looked = clock.monotonic()

    def __bool__(self) -> bool:
        """Tell whether there are keys."""
        return bool(self._names)

    def holder(self, headers: Mapping[str, str]) -> str | None:
        """Return whose key the headers carry; None when they carry none that is known."""
        for key in _presented(headers):
            name = self._names.get(digest(key))
            if name is not None:
                return name
        return None

    def refresh(self) -> None:
        """Look whether the keys changed, now and then."""
        now = self._clock.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        signature = self._signature()
        if signature == self._seen:
            return
        self._seen = signature
        self._load()

    def _load(self) -> None:
        if self._seen is None:
            log.warning("gateway.keys_kept", keys=len(self._names), reason="their file is gone")
            return
        try:
            self._names = {key.sha256: key.name for key in self._file.read()}
        except SettingsError as error:
            log.warning("gateway.keys_kept", keys=len(self._names), reason=error.message)
        else:
            log.info("gateway.keys_read", keys=sorted(self._names.values()))

    def _signature(self) -> Signature:
        try:
            stat = self._file.path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _presented(headers: Mapping[str, str]) -> list[str]:
    authorization = headers.get("authorization", "")
    keys = [authorization[len(_BEARER) :].strip()] if authorization[: len(_BEARER)].lower() == _BEARER else []
    return keys + [key for name in KEY_HEADERS if (key := headers.get(name))]
