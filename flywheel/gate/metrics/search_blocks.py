"""Search-and-replace blocks between conflict marks, as many coding agents write them: read and applied. Pure.

    src/add.py
    <<<<<<< SEARCH
    return a - b
    =======
    return a + b
    >>>>>>> REPLACE

Whole lines are searched for and must stand at exactly one place; an empty search makes a new file. The file's name
stands alone on the line above, before or after the fence; where there is only one file it may be left out.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flywheel.core.edits import EditError

_SEARCH = re.compile(r"<{5,9} ?SEARCH>?\s*")
_MIDDLE = re.compile(r"={5,9}\s*")
_REPLACE = re.compile(r">{5,9} ?REPLACE\s*")
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})[\w+#.-]*\s*")
_LOOK_BACK = 3


class SearchBlock(NamedTuple):
    """Lines of a file as they were and as they become; the file is empty where none was named."""

    file: str
    search: tuple[str, ...]
    replacement: tuple[str, ...]


def parse_blocks(text: str) -> list[SearchBlock]:
    """Return the blocks of an answer in order; raises EditError for one that is begun and not ended."""
    lines = text.split("\n")
    blocks, at, last = list[SearchBlock](), 0, 0
    while at < len(lines):
        if not _SEARCH.fullmatch(lines[at]):
            at += 1
            continue
        middle = _next(lines, _MIDDLE, at + 1)
        end = _next(lines, _REPLACE, middle + 1)
        file = _file_above(lines[last:at]) or (blocks[-1].file if blocks else "")
        blocks.append(SearchBlock(file, tuple(lines[at + 1 : middle]), tuple(lines[middle + 1 : end])))
        at = last = end + 1
    return blocks


def apply_blocks(files: Mapping[str, str], blocks: Sequence[SearchBlock]) -> dict[str, str]:
    """Return the files after the blocks; raises EditError unless each search stands at exactly one place."""
    after = dict(files)
    for block in blocks:
        file = block.file if block.file or len(files) != 1 else next(iter(files))
        if not file:
            raise EditError("a block does not say which file it is for")
        after[file] = _applied(file, after.get(file), block)
    return after


def _applied(file: str, text: str | None, block: SearchBlock) -> str:
    if not any(line.strip() for line in block.search):
        if text and text.strip():
            raise EditError(f"{file} is there already, and its block searches for nothing")
        return "".join(f"{line}\n" for line in block.replacement)
    if text is None:
        raise EditError(f"{file} is not there")
    lines = text.split("\n")
    count = len(block.search)
    places = [at for at in range(len(lines) - count + 1) if tuple(lines[at : at + count]) == block.search]
    if len(places) != 1:
        raise EditError(f"searched lines stand {len(places)} times in {file}")
    return "\n".join([*lines[: places[0]], *block.replacement, *lines[places[0] + count :]])


def _next(lines: Sequence[str], mark: re.Pattern[str], start: int) -> int:
    for at in range(start, len(lines)):
        if mark.fullmatch(lines[at]):
            return at
        if _SEARCH.fullmatch(lines[at]):
            break
    raise EditError("a block is begun and not ended")


def _file_above(above: Sequence[str]) -> str:
    """Return the name on the last line that is no fence; empty when that line is no name."""
    for line in reversed(above[-_LOOK_BACK:]):
        if line.strip() and not _FENCE.fullmatch(line):
            name = line.strip().lstrip("#").strip().strip("`*:").strip().removeprefix("./")
            return "" if re.search(r"\s", name) else name
    return ""
