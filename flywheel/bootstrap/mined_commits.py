"""A commit that is a lesson, with its files before and after: what examples are derived from."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple


class FileChange(NamedTuple):
    """A file before and after, its text None where it was not there; both names differ when it was moved."""

    old_path: str | None
    new_path: str | None
    before: str | None
    after: str | None

    @property
    def path(self) -> str:
        """Return the name that the file goes by afterwards, or went by."""
        return self.new_path or self.old_path or ""


class MinedCommit(NamedTuple):
    """A commit with the tree it was made on; `read` gives a file of that tree, or None where it is no text.

    `steps` counts the commits of the chain that it is the last of so far.
    """

    repo: str
    hash: str
    at: datetime
    message: str
    changes: tuple[FileChange, ...]
    tree: tuple[str, ...]
    read: Callable[[str], str | None]
    own: bool = False
    licence: str = "unknown"
    domain: str = ""
    organisation: str = ""
    lines: int = 0
    line: str | None = None
    steps: int = 1
