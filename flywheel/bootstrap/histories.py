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
_RAW = re.compile(rb"\n?:(\d{6}) (\d{6}) \S+ \S+ ([A-Z])\d*")
_HEADER = 5  # fields behind the hash
_NOTHING, _FILES = "000000", frozenset({"100644", "100755"})


class Told(NamedTuple):
    """A commit by its hash, with when it was written and the files it made or took away.

    `words_alone` says that nothing but words changed: no link, no submodule, no mode.
    """

    hash: str
    at: datetime
    commit: Commit
    made: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    words_alone: bool = True


def commit_names(repo: Path, head: str, done: str = "", skip: int = 0) -> Iterator[str]:
    """Yield the commits that lead to `head` and not to `done`, parents before children, without the first `skip`."""
    range_ = [head, *(["--not", done] if done else [])]
    yield from islice(lines_of(repo, "rev-list", "--reverse", "--topo-order", *range_), skip, None)


def names_before(repo: Path, name: str, count: int) -> list[str]:
    """Return the commits that lead to one, at most so many, the nearest last."""
    return list(lines_of(repo, "rev-list", "--topo-order", f"--max-count={count + 1}", name))[:0:-1]


def count_commits(repo: Path, head: str, done: str = "") -> int:
    """Return how many commits that are."""
    return int(next(lines_of(repo, "rev-list", "--count", head, *(["--not", done] if done else []))))


def read_commits(repo: Path, names: Sequence[str]) -> list[Told]:
    """Return these commits in their order; at most some hundreds at once."""
    flags = ("log", "--no-walk=unsorted", "--stdin", "--raw", "--numstat", "-z", "-M", "--no-ext-diff", "--no-textconv")
    found: list[Told] = []
    fields = fields_of(repo, *flags, _FORMAT, given=names)
    field = next(fields, None)
    while field is not None:
        name = _HASH.fullmatch(field)
        if name is None:
            field = next(fields, None)
            continue
        header = [_text(one) for one in islice(fields, _HEADER)]
        behind, field = _behind(fields)
        found.append(_told(name[1].decode(), header, behind))
    return found


class _Behind(NamedTuple):
    """What stands of files behind a header."""

    changes: list[Change]
    modes: dict[str, tuple[str, str]]


def _behind(fields: Iterator[bytes]) -> tuple[_Behind, bytes | None]:
    """Return what stands of files behind a header, and the first field behind that."""
    found = _Behind([], {})
    for field in fields:
        if (raw := _RAW.fullmatch(field)) is not None:
            name = [*islice(fields, 2 if raw[3] in b"RC" else 1)][-1]
            found.modes[_text(name)] = raw[1].decode(), raw[2].decode()
        elif (stat := _STAT.fullmatch(field)) is not None:
            path = stat[3] or [*islice(fields, 2)][-1]  # a file that was moved: its two names follow
            found.changes.append(Change(_text(path), _number(stat[1]), _number(stat[2])))
        elif _HASH.fullmatch(field):
            return found, field
    return found, None


def _told(name: str, header: Sequence[str], behind: _Behind) -> Told:
    parents, author, email, at, message = header
    commit = Commit(message, author, email, len(parents.split()), tuple(behind.changes))
    made = frozenset(path for path, (before, _) in behind.modes.items() if before == _NOTHING)
    gone = frozenset(path for path, (_, after) in behind.modes.items() if after == _NOTHING)
    words_alone = all(map(_is_words, behind.modes.values()))
    return Told(name, datetime.fromtimestamp(_seconds(at), UTC), commit, made, gone, words_alone)


def _is_words(modes: tuple[str, str]) -> bool:
    """Tell whether a file changed in its words alone: what edits can say."""
    before, after = modes
    if before == _NOTHING:
        return after == "100644"
    return before in _FILES and after in {before, _NOTHING}


def _seconds(at: str) -> int:
    """Return a commit's moment; git takes any number for one."""
    return min(max(int(at or 0), 0), 253_402_300_799)


def _number(digits: bytes) -> int:
    return 0 if digits == b"-" else int(digits)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
