"""Reads what a commit changed, and the tree it was made on, out of a clone.

PyDriller reads what the commits changed. Its own `Git` is not used, for it writes into the clone's configuration.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.bootstrap.gits import fields_of
from flywheel.bootstrap.histories import Told
from flywheel.bootstrap.mined_commits import FileChange, MinedCommit
from flywheel.bootstrap.repos import Repo

if TYPE_CHECKING:
    from git import Repo as Clone
    from pydriller.domain.commit import ModifiedFile


def open_clone(path: Path) -> "Clone":
    """Open a clone for reading; to be used by `with`."""
    from git import Repo as Clone

    return Clone(path)


def read_commit(clone: "Clone", told: Told, repo: Repo, *, own: bool, line: str | None) -> MinedCommit | None:
    """Return a commit with its files before and after; None where one of them is no text."""
    from pydriller.domain.commit import Commit
    from pydriller.utils.conf import Conf

    changes = []
    commit = Commit(clone.commit(told.hash), Conf({"path_to_repo": str(repo.path)}))
    for file in commit.modified_files:
        change = _change(file, told)
        if change is None:
            return None
        changes.append(change)
    parent = commit.parents[0] if commit.parents else ""
    return MinedCommit(
        repo=repo.name,
        hash=told.hash,
        at=told.at,
        message=told.commit.message,
        changes=tuple(changes),
        tree=_tree(repo.path, parent),
        read=lambda path: _read(clone, parent, path),
        own=own,
        licence=repo.licence,
        domain=repo.domain,
        organisation=repo.organisation,
        lines=repo.lines,
        line=line,
    )


def _change(file: "ModifiedFile", told: Told) -> FileChange | None:
    """Return a file's change; None where either side is no text. PyDriller's own texts leave out what is not UTF-8.

    Nor does it tell an empty file that was made from one that was there.
    """
    try:
        before, after = (None if raw is None else raw.decode() for raw in (file.content_before, file.content))
    except UnicodeDecodeError:
        return None
    made, gone = file.new_path in told.made, file.old_path in told.gone
    old, new = None if made else file.old_path, None if gone else file.new_path
    return FileChange(old, new, None if made else before or "", None if gone else after or "")


def _tree(path: Path, commit: str) -> tuple[str, ...]:
    if not commit:
        return ()
    names = fields_of(path, "ls-tree", "-r", "-z", "--name-only", commit)
    return tuple(name.decode("utf-8", "surrogateescape") for name in names if name)


def _read(clone: "Clone", commit: str, name: str) -> str | None:
    if not commit:
        return None
    try:
        return bytes(clone.commit(commit).tree.join(name).data_stream.read()).decode()
    except (KeyError, ValueError, AttributeError):  # it is not there, is no text, or is a folder of another repository
        return None
