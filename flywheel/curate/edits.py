"""Search-and-replace edits: written, read, applied, and found between two versions of a file. Pure.

    <edit file="src/add.py">
    <search>
        return a - b
    </search>
    <replacement>
        return a + b
    </replacement>
    </edit>

A search text occurs exactly once in its file at the moment its edit is applied; an empty one makes a new file. One line
break on each side of a text belongs to the tags. What the tags themselves cannot hold is no edit: `EditError`.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Span = tuple[int, int]

_EDIT = re.compile(r"<edit\b[^<>]*>.*?</edit>", re.DOTALL)
_WHOLE = re.compile(
    r'<edit\s+file="([^"<>\n]+)"\s*>\s*<search>(.*?)</search>\s*<replacement>(.*?)</replacement>\s*</edit>', re.DOTALL
)
_TAG = re.compile(r"</?(?:edit|search|replacement)\b[^<>]*>")


class EditError(ValueError):
    """An edit cannot be written, or does not fit the file it is for."""


class Edit(NamedTuple):
    """One place of one file, as it was and as it becomes."""

    file: str
    search: str
    replacement: str


def parse_edits(text: str) -> list[Edit]:
    """Return the edits of an answer in order; raises EditError when something that looks like one is none."""
    edits = []
    for block in _EDIT.findall(text):
        whole = _WHOLE.fullmatch(block)
        if whole is None or _TAG.search(whole[2]) or _TAG.search(whole[3]):
            raise EditError("an edit is malformed")
        edits.append(Edit(whole[1], _inner(whole[2]), _inner(whole[3])))
    if _TAG.search(_EDIT.sub("", text)):
        raise EditError("an edit is not closed")
    return edits


def search_spans(text: str) -> list[Span]:
    """Return where the search texts of an answer's edits stand, the line breaks of the tags left out."""
    found = []
    for block in _EDIT.finditer(text):
        whole = _WHOLE.fullmatch(block[0])
        if whole is not None:
            start = block.start() + whole.start(2) + whole[2].startswith("\n")
            found.append((start, start + len(_inner(whole[2]))))
    return found


def render_edits(edits: Sequence[Edit]) -> str:
    """Write edits the way `parse_edits` reads them."""
    return "\n".join(_rendered(edit) for edit in edits)


def apply_edits(files: Mapping[str, str], edits: Sequence[Edit]) -> dict[str, str]:
    """Return the files after the edits; raises EditError unless each search text occurs exactly once."""
    after = dict(files)
    for edit in edits:
        after[edit.file] = _applied(after.get(edit.file), edit)
    return after


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
    while (first, last) != (0, len(before)) and not _is_only(before, _edit("", before, (first, last), hunks).search):
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


def _is_only(text: str, search: str) -> bool:
    """Tell whether a text stands at exactly one place; places may overlap."""
    first = text.find(search) if search else -1
    return first >= 0 and text.find(search, first + 1) < 0


def _makes(file: str, before: str, edits: Sequence[Edit], after: str) -> bool:
    try:
        return apply_edits({file: before}, edits)[file] == after
    except EditError:
        return False


def _applied(text: str | None, edit: Edit) -> str:
    if not edit.search:
        if text:
            raise EditError(f"{edit.file} is there already, and its edit searches for nothing")
        return edit.replacement
    if text is None:
        raise EditError(f"{edit.file} is not there")
    if not _is_only(text, edit.search):
        raise EditError(f"a search text does not occur exactly once in {edit.file}")
    return text.replace(edit.search, edit.replacement)


def _rendered(edit: Edit) -> str:
    if not edit.file or re.search(r'["<>\n\r]', edit.file):
        raise EditError("a file's name cannot be written in an edit")
    if any(_TAG.search(part) for part in (edit.search, edit.replacement)):
        raise EditError("a text holds the tags of an edit")
    search, replacement = (f"\n{part}\n" if part else "" for part in (edit.search, edit.replacement))
    return f'<edit file="{edit.file}">\n<search>{search}</search>\n<replacement>{replacement}</replacement>\n</edit>'


def _inner(text: str) -> str:
    """Return a text without the one line break on each side that belongs to the tags."""
    return text.removeprefix("\n").removesuffix("\n")
