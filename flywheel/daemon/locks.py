"""One daemon a home. The lock is the kernel's: it cannot be left behind by a crash."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flywheel.core.errors import ConflictError, SettingsError

NAME = "daemon.lock"
_SQLITE = "sqlite:///"


@contextmanager
def only_daemon(home: Path, store_url: str = "") -> Iterator[None]:
    """Hold the home, and a store file that lies elsewhere, for the block; refuse when another daemon holds either."""
    path = Path(store_url.removeprefix(_SQLITE)) if store_url.startswith(_SQLITE) else home / "flywheel.db"
    with _held(home / NAME, home, "home"):
        if path.parent.resolve() == home.resolve():
            yield
            return
        with _held(path.with_name(f"{path.name}.lock"), path, "store"):
            yield


@contextmanager
def _held(file: Path, what: Path, name: str) -> Iterator[None]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        lock = file.open("a+")
    except OSError as error:
        raise SettingsError(
            f"{name} {what} cannot be used: {error.strerror}", f"check {name} and its permissions"
        ) from error
    with lock:
        try:
            _hold(lock.fileno())
        except BlockingIOError as error:
            raise ConflictError(
                f"another daemon is at work on {what} (process {_holder(file)})",
                f"stop it first, or give this one a {name} of its own",
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def daemon_runs(home: Path) -> bool:
    """Tell whether a daemon holds this home."""
    try:
        with (home / NAME).open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _hold(descriptor: int) -> None:
    for _ in range(10):
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)  # `status` looks whether somebody holds it, and holds it for that moment
    return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(file: Path) -> str:
    try:
        return file.read_text().strip() or "unknown"
    except OSError:
        return "unknown"
