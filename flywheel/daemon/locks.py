"""One daemon a home. The lock is the kernel's: it cannot be left behind by a crash."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flywheel.core.errors import ConflictError, SettingsError

NAME = "daemon.lock"


@contextmanager
def only_daemon(home: Path) -> Iterator[None]:
    """Hold the home for the length of the block; refuse when another daemon holds it."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o750)
        lock = (home / NAME).open("a+")
    except OSError as error:
        raise SettingsError(
            f"home {home} cannot be used: {error.strerror}", "check home and its permissions"
        ) from error
    with lock:
        try:
            _hold(lock.fileno())
        except BlockingIOError as error:
            raise ConflictError(
                f"another daemon is at work on {home} (process {_holder(home)})",
                "stop it first, or give this one a home of its own",
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


def _holder(home: Path) -> str:
    try:
        return (home / NAME).read_text().strip() or "unknown"
    except OSError:
        return "unknown"
