"""Diffs and patches as changed texts. Pure.

Two ways of writing a change are read: unified diffs, and patches between `*** Begin Patch` and `*** End Patch`. Either
is applied to the text it is for and must fit it; nothing is guessed.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from flywheel.core.edits import EditError

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_HEAD = re.compile(r"(?:---|\+\+\+) (?:[ab]/)?([^\t\n\r]+)")
_PATCH = re.compile(r"\*\*\* Begin Patch\n(.*?)\n\*\*\* End Patch", re.DOTALL)
_PART = re.compile(r"^\*\*\* (Add|Update|Delete) File: (.+)$", re.MULTILINE)
_NOTHING = "/dev/null"


class Hunk(NamedTuple):
    """A stretch of a text, as it was and as it becomes; `line` is where it begins, where that is told."""

    old: str
    new: str
    line: int | None = None


class FilePatch(NamedTuple):
    """What becomes of one file; `makes` says that it was not there before."""

    file: str
    hunks: tuple[Hunk, ...]
    makes: bool = False

    def applied(self, before: str | None) -> str:
        """Return the text afterwards; raises EditError when the patch does not fit."""
        if self.makes or before is None:
            if before or not self.makes:
                raise EditError(f"the patch does not fit {self.file}")
            return "".join(hunk.new for hunk in self.hunks)
        done, at = "", 0
        for hunk in self.hunks:
            place = _place(before, hunk, at)
            done += before[at:place] + hunk.new
            at = place + len(hunk.old)
        return done + before[at:]


def parse_patches(text: str) -> list[FilePatch]:
    """Return what a unified diff or a patch does to each file; raises EditError for what edits cannot say."""
    held = _PATCH.search(text)
    return list(_parts(held[1]) if held else _files(text))


def lines_of(text: str) -> list[str]:
    """Return lines as diffs count them: only a line feed ends one."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _files(text: str) -> Iterator[FilePatch]:
    """Read a unified diff; hunks are as long as their heads say, so that no removed line passes for a file's head."""
    lines = lines_of(text)
    at = 0
    while at < len(lines):
        old, new = (_HEAD.match(line) for line in (*lines[at : at + 2], "", "")[:2])
        if old is None or new is None or not lines[at].startswith("---") or not lines[at + 1].startswith("+++"):
            if lines[at].startswith(("rename ", "GIT binary patch", "Binary files ")):
                raise EditError("a diff renames a file, or holds bytes")
            at += 1
            continue
        hunks, at = _unified(lines, at + 2)
        before, after = old[1].strip(), new[1].strip()
        if after == _NOTHING or before not in {_NOTHING, after}:
            raise EditError("a diff deletes or moves a file")
        yield FilePatch(after, hunks, makes=before == _NOTHING)


def _unified(lines: Sequence[str], at: int) -> tuple[tuple[Hunk, ...], int]:
    """Read the hunks of one file; return them with where the next file may begin."""
    hunks = []
    while at < len(lines) and (head := _HUNK.match(lines[at])):
        hunk, at = _hunk(lines, at + 1, head)
        hunks.append(hunk)
    return tuple(hunks), at


def _hunk(lines: Sequence[str], at: int, head: re.Match[str]) -> tuple[Hunk, int]:
    old, new = "", ""
    left, right = (int(count) if count is not None else 1 for count in (head[2], head[3]))
    while left > 0 or right > 0:
        line = lines[at] if at < len(lines) else ""
        mark = " " if line == "\n" else line[:1]  # some tools strip the blank of an empty context line
        if mark not in {" ", "-", "+"}:
            raise EditError("a hunk is shorter than its head says")
        ends = at + 1 < len(lines) and lines[at + 1].startswith("\\")  # "No newline at end of file"
        body = line.removeprefix(mark).removesuffix("\n" if ends else "")
        old, new = _taken(old, new, mark, body)
        left, right, at = left - (mark != "+"), right - (mark != "-"), at + 1 + ends
    return Hunk(old, new, int(head[1])), at


def _taken(old: str, new: str, mark: str, body: str) -> tuple[str, str]:
    return old + body * (mark != "+"), new + body * (mark != "-")


def _parts(text: str) -> Iterator[FilePatch]:
    heads = list(_PART.finditer(text))
    for head, behind in zip_longest(heads, heads[1:]):
        lines = lines_of(text[head.end() + 1 : behind.start() if behind else len(text)] + "\n" * (behind is None))
        if head[1] == "Delete" or any(line.startswith("*** Move to:") for line in lines):
            raise EditError("a patch deletes or moves a file")
        if head[1] == "Add":
            added = "".join(line[1:] for line in lines if line.startswith("+"))
            yield FilePatch(head[2].strip(), (Hunk("", added),), makes=True)
        else:
            yield FilePatch(head[2].strip(), tuple(_loose(lines)))


def _loose(lines: Sequence[str]) -> Iterator[Hunk]:
    """Read hunks that have no line numbers."""
    old, new = "", ""
    for line in [*lines, "@@"]:
        if line.startswith(("@@", "***")):
            if old or new:
                yield Hunk(old, new)
            old, new = "", ""
        else:
            old, new = _taken(old, new, line[:1], line[1:] or "\n")


def _place(text: str, hunk: Hunk, least: int) -> int:
    """Return where a hunk stands: where its number says, or else at the only place at which its lines do."""
    if hunk.line is not None:
        place = _offset(text, hunk.line - (hunk.old != ""))
        if place >= least and text.startswith(hunk.old, place):
            return place
    places = [found.start() for found in re.finditer(rf"^(?={re.escape(hunk.old)})", text[least:], re.MULTILINE)]
    if len(places) != 1 or not hunk.old:
        raise EditError("a patch does not fit its file, or fits it twice")
    return least + places[0]


def _offset(text: str, line: int) -> int:
    return sum(len(one) for one in lines_of(text)[: max(line, 0)])
