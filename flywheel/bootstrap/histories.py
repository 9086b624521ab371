"""The commits of a clone, oldest first, as much of each as the filter looks at, and none for longer than that.

A merge brings no changes of its own. Binary files count no lines.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from flywheel.bootstrap.commit_filters import Change, Commit
from flywheel.bootstrap.gits import fields_of, lines_of

_FORMAT = "--format=%H%x00%P%x00%an%x00%ae%x00%at%x00%B%x00"
_STAT = re.compile(rb"\n?(\d+|-)\t(\d+|-)\t(.*)", re.DOTALL)
_HASH = re.compile(rb"\n?([0-9a-f]{40}|[0-9a-f]{64})")
_HEADER = 5  # fields behind the hash


class Told(NamedTuple):
    """A commit by its hash, with when it was written."""

    hash: str
    at: datetime
    commit: Commit


def commit_names(repo: Path, head: str, done: str = "", skip: int = 0) -> Iterator[str]:
    """Yield the commits that lead to `head` and not to `done`, parents before children, without the first `skip`."""
    range_ = [head, *(["--not", done] if done else [])]
    yield from islice(lines_of(repo, "rev-list", "--reverse", "--topo-order", *range_), skip, None)


def count_commits(repo: Path, head: str, done: str = "") -> int:
    """Return how many commits that are."""
    return int(next(lines_of(repo, "rev-list", "--count", head, *(["--not", done] if done else []))))


def read_commits(repo: Path, names: Sequence[str]) -> list[Told]:
    """Return these commits in their order; at most some hundreds at once."""
    flags = ("log", "--no-walk=unsorted", "--stdin", "--numstat", "-z", "-M", "--no-ext-diff", "--no-textconv")
    found: list[Told] = []
    fields = fields_of(repo, *flags, _FORMAT, given=names)
    field = next(fields, None)
    while field is not None:
        name = _HASH.fullmatch(field)
        if name is None:
            field = next(fields, None)
            continue
        header = [_text(one) for one in islice(fields, _HEADER)]
        changes, field = _changes(fields)
        found.append(_told(name[1].decode(), header, changes))
    return found


def _changes(fields: Iterator[bytes]) -> tuple[list[Change], bytes | None]:
    """Return what stands of files behind a header, and the first field behind that."""
    changes: list[Change] = []
    for field in fields:
        stat = _STAT.fullmatch(field)
        if stat is not None:
            path = stat[3] or [*islice(fields, 2)][-1]  # a file that was moved: its two names follow
            changes.append(Change(_text(path), _number(stat[1]), _number(stat[2])))
        elif _HASH.fullmatch(field):
            return changes, field
    return changes, None


def _told(name: str, header: Sequence[str], changes: Sequence[Change]) -> Told:
    parents, author, email, at, message = header
    commit = Commit(message, author, email, len(parents.split()), tuple(changes))
    return Told(name, datetime.fromtimestamp(_seconds(at), UTC), commit)


def _seconds(at: str) -> int:
    """Return a commit's moment; git takes any number for one."""
    return min(max(int(at or 0), 0), 253_402_300_799)


def _number(digits: bytes) -> int:
    return 0 if digits == b"-" else int(digits)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
