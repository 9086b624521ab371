"""The policies in force, read again only when a file of them has changed."""

from pathlib import Path
from threading import Lock

from flywheel.core.errors import FlywheelError
from flywheel.policy.guardrails import PolicySet
from flywheel.policy.loading import load_policies


class PolicyShelf:
    """Holds the policies of a folder. A set that is wrong is said, and the one before is held on to."""

    def __init__(self) -> None:
        """Read nothing yet."""
        self._marks: tuple[tuple[str, int, int], ...] | None = None
        self._one = Lock()
        self._policies = PolicySet()
        self._problem = ""

    def read(self, folder: Path) -> tuple[PolicySet, str]:
        """Return the policies and what is wrong with the newest ones; not on the event loop."""
        with self._one:
            marks = _marks(folder)
            if marks != self._marks:
                self._load(folder)
                self._marks = marks
            return self._policies, self._problem

    def _load(self, folder: Path) -> None:
        try:
            self._policies, self._problem = load_policies(folder), ""
        except FlywheelError as error:
            self._problem = str(error)


def _marks(folder: Path) -> tuple[tuple[str, int, int], ...]:
    found = []
    for file in sorted(folder.rglob("*.toml")):
        try:
            stat = file.stat()
        except OSError:
            continue
        found.append((str(file), stat.st_mtime_ns, stat.st_size))
    return tuple(found)
