"""Some commits of one clone looked through and told as makings: the work of a process of its own.

PyDriller reads what the kept commits changed. Its own `Git` is not used, for it writes into the clone's configuration.
"""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flywheel.bootstrap.commit_filters import reason_against
from flywheel.bootstrap.derivations import derive
from flywheel.bootstrap.gits import fields_of
from flywheel.bootstrap.histories import Told, read_commits
from flywheel.bootstrap.mined_commits import FileChange, MinedCommit
from flywheel.core.makings import Making

if TYPE_CHECKING:
    from git import Repo as Clone
    from pydriller.domain.commit import ModifiedFile

OTHERS = "by somebody else"
NO_TEXT = "a file that is no UTF-8 text"
NOTHING = "nothing that can be told"


class Order(NamedTuple):
    """What is to be mined of which clone. With `authors` only commits by these addresses are lessons."""

    path: Path
    repo: str
    licence: str
    domain: str
    own: bool
    authors: frozenset[str]
    names: tuple[str, ...]


class Chunk(NamedTuple):
    """What came of some commits: how many were kept, or rejected and why, and the makings of each that was kept."""

    counts: Counter[str]
    tasks: dict[str, list[Making]]


def mine_chunk(order: Order) -> Chunk:
    """Look through commits in their order."""
    from git import Repo as Clone

    found = Chunk(Counter(), {})
    with Clone(order.path) as clone:
        for told in read_commits(order.path, order.names):
            reason = _against(told, order)
            makings = [] if reason else _makings(clone, told, order)
            if isinstance(makings, str):
                reason = makings
            elif makings:
                found.tasks[f"mine/{order.repo}/{told.hash}"] = makings
            found.counts[reason or ("kept" if makings else NOTHING)] += 1
    return found


def _against(told: Told, order: Order) -> str:
    if order.authors and told.commit.email.lower() not in order.authors:
        return OTHERS
    return reason_against(told.commit)


def _makings(clone: "Clone", told: Told, order: Order) -> list[Making] | str:
    """Return what a commit teaches, or why its files cannot be read."""
    from pydriller.domain.commit import Commit
    from pydriller.utils.conf import Conf

    changes = []
    commit = Commit(clone.commit(told.hash), Conf({"path_to_repo": str(order.path)}))
    for file in commit.modified_files:
        change = _change(file)
        if change is None:
            return NO_TEXT
        changes.append(change)
    parent = commit.parents[0] if commit.parents else ""
    return derive(
        MinedCommit(
            repo=order.repo,
            hash=told.hash,
            at=told.at,
            message=told.commit.message,
            changes=tuple(changes),
            tree=_tree(order.path, parent),
            read=lambda path: _read(clone, parent, path),
            own=order.own,
            licence=order.licence,
            domain=order.domain,
        )
    )


def _change(file: "ModifiedFile") -> FileChange | None:
    """Return a file's change; None where either side is no text. PyDriller's own texts leave out what is not UTF-8."""
    try:
        before, after = (None if raw is None else raw.decode() for raw in (file.content_before, file.content))
    except UnicodeDecodeError:
        return None
    made, gone = file.old_path is None, file.new_path is None
    return FileChange(file.old_path, file.new_path, None if made else before or "", None if gone else after or "")


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
