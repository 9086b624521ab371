"""Commits that only their message speaks against: kept aside, so that a teacher can write them a better one.

They lie on the shelf as marks `poor/REPO/HASH`, written with the chunk they were found in; the clone's mark `mine/REPO`
knows where it is. An accepted message makes of them what a good message would have made.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from flywheel.bootstrap.chunk_miners import Chunk, Way, read_with_steps, task_of
from flywheel.bootstrap.commit_messages import fault_of
from flywheel.bootstrap.commit_trees import open_clone, read_commit
from flywheel.bootstrap.derivations import derive, edits_of
from flywheel.bootstrap.gits import git, has_commit
from flywheel.bootstrap.histories import Told, read_commits
from flywheel.bootstrap.repos import Repo
from flywheel.bootstrap.shelves import Shelf
from flywheel.core.makings import Making
from flywheel.core.outcomes import Origin

_PAGE = 64
_SHOWN = ("--format=", "--no-color", "-M", "--no-ext-diff", "--no-textconv")
#: What a teacher's message says in its own words; the other answers are the project's code.
_ANSWERED_BY_MESSAGE = frozenset({"task_analysis", "execute_plan"})


class PoorCommit(NamedTuple):
    """A commit whose change is a lesson and whose message is none: where it is, what it says, why that is poor."""

    repo: str
    path: Path
    hash: str
    at: datetime
    message: str
    fault: str
    diff: str
    clone: Repo
    own: bool
    line: str | None

    @property
    def task(self) -> str:
        """Return the task that its makings lie under, once a message was accepted."""
        return task_of(self.repo, self.hash)


def poor_commits(home: Path, repo: str = "") -> Iterator[PoorCommit]:
    """Yield the commits that wait for a better message, by repo and hash; those whose clone is gone wait on.

    What has makings already waits no more. The shelf may be written meanwhile.
    """
    with Shelf(home / "bootstrap.db") as shelf:
        for name, mark in shelf.marks("mine/").items():
            if "clone" in mark and repo in {"", name.removeprefix("mine/")}:
                yield from _waiting(shelf, *clone_of(mark))


def makings_of(poor: PoorCommit, message: str, about: Mapping[str, Any]) -> list[Making]:
    """Return what a commit teaches under a better message; `about` says whose it is and who judged it.

    Nothing where the message is no better. Lay it down under the commit's `task`.
    """
    if fault_of(message):
        return []
    with open_clone(poor.path) as clone:
        told, steps = read_with_steps(poor.path, (poor.hash,))[0]
        better = told._replace(commit=told.commit._replace(message=message))
        commit = read_commit(clone, better, poor.clone, own=poor.own, line=poor.line)
    return [_by_teacher(making, about) for making in derive(commit._replace(steps=steps))] if commit else []


def marks_of(repo: str, chunk: Chunk) -> dict[str, dict[str, str]]:
    """Return the marks of the commits that a chunk of a clone put aside."""
    return {f"poor/{repo}/{name}": {"fault": fault} for name, fault in chunk.poor.items()}


def clone_mark(repo: Repo, way: Way) -> dict[str, Any]:
    """Return what is noted of a clone and of how it was mined."""
    return {**repo._asdict(), "path": str(repo.path.resolve()), "own": way.own, "line": way.line,
            "authors": sorted(way.authors), "organisation": repo.organisation}  # fmt: skip


def clone_of(mark: Mapping[str, Any]) -> tuple[Repo, bool, str | None]:
    """Return the clone of a mark, whether it is one's own, and the line it was mined for."""
    noted = mark["clone"]
    repo = Repo(**{name: noted[name] for name in Repo._fields})
    return repo._replace(path=Path(repo.path)), noted["own"], noted["line"]


def _waiting(shelf: Shelf, repo: Repo, own: bool, line: str | None) -> Iterator[PoorCommit]:  # noqa: FBT001 - as noted
    prefix, behind = f"poor/{repo.name}/", ""
    while marks := shelf.marks_behind(prefix, behind, _PAGE):
        behind = next(reversed(marks))
        faults = {name.removeprefix(prefix): mark["fault"] for name, mark in marks.items()}
        names = [name for name in faults if "/" not in name and not shelf.makings(task_of(repo.name, name))]
        for told, diff in _diffs(repo, names):
            message, fault = told.commit.message, faults[told.hash]
            yield PoorCommit(repo.name, repo.path, told.hash, told.at, message, fault, diff, repo, own, line)


def _diffs(repo: Repo, names: Sequence[str]) -> Iterator[tuple[Told, str]]:
    """Yield the commits that are there and can be told as edits, with what they changed."""
    there = [name for name in names if repo.path.is_dir() and has_commit(repo.path, name)]
    if not there:
        return
    with open_clone(repo.path) as clone:
        for told in read_commits(repo.path, there):
            commit = read_commit(clone, told, repo, own=False, line=None)
            if commit and edits_of(commit.changes):
                yield told, git(repo.path, "show", *_SHOWN, told.hash).decode("utf-8", "replace")


def _by_teacher(making: Making, about: Mapping[str, Any]) -> Making:
    """Return a making that knows whose its message is; what repeats the message is the teacher's answer."""
    origin: Origin = "teacher" if making.call_type in _ANSWERED_BY_MESSAGE else making.origin
    return making.model_copy(update={"origin": origin, "about": {**making.about, "message": dict(about)}})
