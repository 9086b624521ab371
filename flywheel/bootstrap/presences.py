"""Who is at work: a lock that the kernel lets go of when its process is gone, however it went."""

import fcntl
import os
import secrets
from pathlib import Path

_PRIVATE = 0o600


class Presence:
    """One who is at work in a folder, under a name that nobody had before."""

    def __init__(self, folder: Path) -> None:
        """Take a new name and hold its lock."""
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.name, self._descriptor = self._enter()
        self._tidy()

    def leave(self) -> None:
        """Be gone."""
        (self._folder / self.name).unlink(missing_ok=True)
        os.close(self._descriptor)

    def is_at_work(self, name: str) -> bool:
        """Tell whether the one of that name is still there."""
        if name == self.name:
            return True
        try:
            descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            if not _lock(descriptor):
                return True
            (self._folder / name).unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)

    def _enter(self) -> tuple[str, int]:
        while True:
            name = secrets.token_hex(8)
            descriptor = os.open(self._folder / name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, _PRIVATE)
            # Somebody tidying may have taken the file away in the moment before it was locked.
            if _lock(descriptor) and os.fstat(descriptor).st_nlink:
                return name, descriptor
            os.close(descriptor)

    def _tidy(self) -> None:
        for path in self._folder.iterdir():
            self.is_at_work(path.name)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
