"""What is known of a clone before it is mined: whose it is, how large, under which licence, about what."""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from flywheel.bootstrap.commit_filters import is_code
from flywheel.bootstrap.gits import check_clone, fields_of, file_at, git, head_of
from flywheel.bootstrap.licences import is_licence_file, licence_of
from flywheel.bootstrap.project_files import Project, project_of
from flywheel.core.errors import PermanentError

LEAST_LINES, MOST_LINES = 1_000, 50_000
_REMOTE = re.compile(r"[/:]([^/:]+)/([^/]+?)(?:\.git)?/?$")
_TELLING = ("pyproject.toml", "setup.cfg", "package.json")


class Repo(NamedTuple):
    """A clone, as it is at its head."""

    path: Path
    name: str
    head: str
    lines: int
    licence: str
    domain: str
    excluded: str

    @property
    def organisation(self) -> str:
        """Return whose it is."""
        return self.name.partition("/")[0] if "/" in self.name else ""

    @property
    def reason_against(self) -> str:
        """Return why somebody else's repository is not mined; nothing when it may be."""
        if self.excluded:
            return f"it says that it is {self.excluded}: such code is defensive by trade"
        if not LEAST_LINES <= self.lines <= MOST_LINES:
            return f"it has {self.lines} lines of code, and not {LEAST_LINES:,} to {MOST_LINES:,}"
        return ""


def look_at(path: Path) -> Repo:
    """Return what is known of a clone; raises MisuseError where there is no history."""
    check_clone(path)
    head = head_of(path)
    names = [
        one.decode("utf-8", "surrogateescape") for one in fields_of(path, "ls-tree", "-r", "-z", "--name-only", head)
    ]
    licences = [_text(path, head, name) for name in names if "/" not in name and is_licence_file(name)]
    project = project_of({name: _text(path, head, name) for name in _TELLING if name in names})
    return Repo(
        path, _name(path, project), head, _lines(path, head), licence_of(licences), project.domain, project.excluded
    )


def _name(path: Path, project: Project) -> str:
    """Return the name of a clone's origin with whose it is; of one that has none, the project's or the folder's."""
    try:
        origin = git(path, "config", "--get", "remote.origin.url").decode("utf-8", "replace").strip()
    except PermanentError:
        origin = ""
    found = _REMOTE.search(origin)
    return f"{found[1]}/{found[2]}" if found else project.name or path.resolve().name


def _lines(path: Path, head: str) -> int:
    """Return how many lines of code the head has: as git counts what was added since there was nothing."""
    empty = git(path, "hash-object", "-t", "tree", "/dev/null").decode().strip()
    counted: Iterable[bytes] = fields_of(path, "diff-tree", "-r", "-z", "--numstat", "--no-renames", empty, head)
    found = 0
    for one in counted:
        added, _, rest = one.partition(b"\t")
        name = rest.partition(b"\t")[2].decode("utf-8", "surrogateescape")
        if added.isdigit() and is_code(PurePosixPath(name)):
            found += int(added)
    return found


def _text(path: Path, head: str, name: str) -> str:
    return (file_at(path, head, name) or b"").decode("utf-8", "replace")
