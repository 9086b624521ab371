"""What the tests of the documents share: where the documents are, and their tables, blocks and headings."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```\s*?$", re.MULTILINE | re.DOTALL)


def name(path: Path) -> str:
    """Return a document's path as people cite it."""
    return path.relative_to(ROOT).as_posix()


def text(relative: str) -> str:
    """Return a document's text."""
    return (ROOT / relative).read_text(encoding="utf-8")


def without_blocks(document: str) -> str:
    """Return a document without its fenced blocks."""
    return _FENCE.sub("", document)


def blocks(document: str, language: str) -> Iterator[str]:
    """Yield the fenced blocks of a language, without the indentation of their list."""
    for indent, found, body in _FENCE.findall(document):
        if found == language:
            yield "\n".join(line.removeprefix(indent) for line in body.splitlines())


def rows(document: str) -> Iterator[list[str]]:
    """Yield the cells of every table row, heads included."""
    for line in without_blocks(document).splitlines():
        if line.startswith("|") and not set(line) <= set("|-: "):
            yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def first_names(document: str) -> set[str]:
    """Return every name in backquotes that stands in the first cell of a row."""
    return {found for cells in rows(document) for found in re.findall(r"`([^`]+)`", cells[0])}


def sections(document: str) -> dict[str, str]:
    """Return what stands below each heading of the second level."""
    parts = re.split(r"^## (.+)$", document, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def anchors(document: str) -> set[str]:
    """Return the anchors of a document's headings, as hosts of Markdown make them."""
    titles = re.findall(r"^#+ (.+)$", without_blocks(document), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
