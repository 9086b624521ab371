"""Search-and-replace edits as they are written: found between two versions of a file. Pure.

How they are read and applied is in `flywheel.core.edits`. What the tags cannot hold is no edit: `EditError`.
"""

import difflib
import re
from collections.abc import Sequence
from typing import NamedTuple

from flywheel.core.edits import TAG, Edit, EditError, Span, apply_edits, stands_once


def render_edits(edits: Sequence[Edit]) -> str:
    """Write edits the way `parse_edits` reads them."""
    return "\n".join(_rendered(edit) for edit in edits)


def edits_between(file: str, before: str | None, after: str) -> list[Edit]:
    """Return edits that make `after` of `before`, each with as little around it as makes its place the only one."""
    if not before:
        return [Edit(file, "", after)] if before is None or after else []
    hunks = _hunks(before, after)
    edits = [_edit(file, before, region, hunks) for region in _regions(before, hunks)]
    if _makes(file, before, edits, after):
        return edits
    return [Edit(file, before, after)]  # one edit writes what another one searches for


class _Hunk(NamedTuple):
    """Characters of the old text, and what stands there instead."""

    start: int
    end: int
    replacement: str


def _hunks(before: str, after: str) -> list[_Hunk]:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    starts = [0]
    for line in old:
        starts.append(starts[-1] + len(line))
    changes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [_Hunk(starts[a], starts[b], "".join(new[c:d])) for what, a, b, c, d in changes if what != "equal"]


def _regions(before: str, hunks: Sequence[_Hunk]) -> list[Span]:
    """Return what the edits search for: around each change, apart from each other, each the only place of its kind."""
    regions: list[Span] = []
    for hunk in hunks:
        region = _widened(before, (hunk.start, hunk.end), hunks)
        while regions and regions[-1][1] >= region[0]:
            start, end = regions.pop()
            region = _widened(before, (start, max(end, region[1])), hunks)
        regions.append(region)
    return regions


def _widened(before: str, region: Span, hunks: Sequence[_Hunk]) -> Span:
    """Take in whole lines, before and behind in turn, until the place is the only one of its kind; the file is."""
    first, last = region
    ahead = True
    while (first, last) != (0, len(before)) and not stands_once(before, _edit("", before, (first, last), hunks).search):
        if (ahead and first > 0) or last == len(before):
            first = before.rfind("\n", 0, first - 1) + 1
        else:
            found = before.find("\n", last)
            last = len(before) if found < 0 else found + 1
        ahead = not ahead
    return first, last


def _edit(file: str, before: str, region: Span, hunks: Sequence[_Hunk]) -> Edit:
    search, replacement, at = before[slice(*region)], "", region[0]
    for hunk in hunks:
        if region[0] <= hunk.start and hunk.end <= region[1]:
            replacement += before[at : hunk.start] + hunk.replacement
            at = hunk.end
    replacement += before[at : region[1]]
    if len(search) > 1 and search.endswith("\n") and replacement.endswith("\n"):
        return Edit(file, search[:-1], replacement[:-1])
    return Edit(file, search, replacement)


def _makes(file: str, before: str, edits: Sequence[Edit], after: str) -> bool:
    try:
        return apply_edits({file: before}, edits)[file] == after
    except EditError:
        return False


def _rendered(edit: Edit) -> str:
    if not edit.file or re.search(r'["<>\n\r]', edit.file):
        raise EditError("a file's name cannot be written in an edit")
    if any(TAG.search(part) for part in (edit.search, edit.replacement)):
        raise EditError("a text holds the tags of an edit")
    search, replacement = (f"\n{part}\n" if part else "" for part in (edit.search, edit.replacement))
    return f'<edit file="{edit.file}">\n<search>{search}</search>\n<replacement>{replacement}</replacement>\n</edit>'
