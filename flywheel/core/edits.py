"""Search-and-replace edits: read and applied. Pure.

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

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Span = tuple[int, int]

_END = "</edit>"
_EDIT = re.compile(r"<edit\b[^<>]*>.*?</edit>", re.DOTALL)
_WHOLE = re.compile(
    r'<edit\s+file="([^"<>\n]+)"\s*>\s*<search>(.*?)</search>\s*<replacement>(.*?)</replacement>\s*</edit>', re.DOTALL
)
TAG = re.compile(r"</?(?:edit|search|replacement)\b[^<>]*>")


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
    ended = text.rfind(_END) + len(_END) if _END in text else 0  # behind it nothing ends, however often it is sought
    for block in _EDIT.findall(text[:ended]):
        whole = _WHOLE.fullmatch(block)
        if whole is None or TAG.search(whole[2]) or TAG.search(whole[3]):
            raise EditError("an edit is malformed")
        edits.append(Edit(whole[1], _inner(whole[2]), _inner(whole[3])))
    if TAG.search(_EDIT.sub("", text[:ended]) + text[ended:]):
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


def apply_edits(files: Mapping[str, str], edits: Sequence[Edit]) -> dict[str, str]:
    """Return the files after the edits; raises EditError unless each search text occurs exactly once."""
    after = dict(files)
    for edit in edits:
        after[edit.file] = _applied(after.get(edit.file), edit)
    return after


def stands_once(text: str, search: str) -> bool:
    """Tell whether a text stands at exactly one place; places may overlap."""
    first = text.find(search) if search else -1
    return first >= 0 and text.find(search, first + 1) < 0


def _applied(text: str | None, edit: Edit) -> str:
    if not edit.search:
        if text:
            raise EditError(f"{edit.file} is there already, and its edit searches for nothing")
        return edit.replacement
    if text is None:
        raise EditError(f"{edit.file} is not there")
    if not stands_once(text, edit.search):
        raise EditError(f"a search text does not occur exactly once in {edit.file}")
    return text.replace(edit.search, edit.replacement)


def _inner(text: str) -> str:
    """Return a text without the one line break on each side that belongs to the tags."""
    return text.removeprefix("\n").removesuffix("\n")
