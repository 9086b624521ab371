"""Finding the program in what a model wrote: fenced blocks, the last that defines what is called; or bare code. Pure.

Nothing is parsed or compiled here: what a model wrote meets a compiler inside the sandbox only.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from flywheel.core.thoughts import after_thoughts

_NAMES: Mapping[str, frozenset[str]] = MappingProxyType({
    "python": frozenset({"python", "py", "python3", "py3"}),
    "typescript": frozenset({"typescript", "ts", "tsx", "javascript", "js"}),
    "javascript": frozenset({"javascript", "js", "jsx", "mjs", "node"}),
})  # fmt: skip
_MARK = re.compile(r"`{3,}|~{3,}")
_TAG = re.compile(r"[\w+#.-]*")
_ONE_LINE = re.compile(r"\s*```([^`]+)```\s*")
_PYTHON = re.compile(
    r"(?:import\s+[\w.]+|from\s+[\w.]+\s+import\b|@\w|if __name__"
    r"|(?:async\s+)?def\s+\w+\s*[(\[]|class\s+\w+\s*[(:\[]"
    r"|(?:for|while|with|if|try)\b.*:\s*(?:#.*)?$|[A-Za-z_][\w.]*\s*(?:\[[^]]*\])?\s*(?::[^=]+)?[-+*/|&]?=(?!=)"
    r"|[A-Za-z_][\w.]*\(.*\)?\s*$)"
)
_SCRIPT = re.compile(
    r"(?:import\b|export\b|(?:async\s+)?function\b|(?:const|let|var)\s+[\w{\[]|class\s+\w+|interface\s+\w+"
    r"|type\s+\w+\s*=|(?:for|while|if|try|switch)\s*[({]|[A-Za-z_$][\w.$]*\s*(?:\(|=(?!=))|//|/\*)"
)
_DEFINES: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "python": (
        r"^[ \t]*(?:async[ \t]+)?def[ \t]+NAME[ \t]*[(\[]", r"^NAME[ \t]*(?::[^=\n]+)?=(?!=)", r"^class[ \t]+NAME\b"
    ),
    "script": (
        r"\bfunction[ \t]*\*?[ \t]*NAME\b", r"\b(?:const|let|var|class)[ \t]+NAME\b", r"^[ \t]*(?:async )?NAME[ \t]*\("
    ),
})  # fmt: skip
_GOES_ON = re.compile(r"[)\]}\s#]|\"\"\"|'''|else\b|elif\b|except\b|finally\b|case\b|return\b|print\b")


class Block(NamedTuple):
    """One fenced block: the language it says it is in, and its lines as they stand."""

    tag: str
    text: str

    @property
    def code(self) -> str:
        """Return the lines without what indents them all."""
        return _tidy(self.text)


def code_in(text: str, language: str = "python", entry: str = "") -> str | None:
    """Return the program of an answer, or None: where an entry is called, the last block that defines it."""
    said = after_thoughts(text)
    blocks = list(fenced(said))
    if entry:
        found = [block.code for block in blocks if defines(block.code, entry, language)]
        return found[-1] if found else _defining(_bare(said, language), entry, language)
    return _program(blocks, language) if blocks else _bare(said, language)


def fenced(text: str) -> Iterator[Block]:
    """Return the fenced blocks in order; one that is never closed reaches to the end."""
    tag, mark, lines = "", "", list[str]()
    for line in text.split("\n"):
        if mark:
            closed = _closing(line, mark)
            if closed is None:
                lines.append(line)
                continue
            yield Block(tag, "".join(f"{one}\n" for one in [*lines, *([closed] if closed else [])]))
            mark, lines = "", []
        elif alone := _ONE_LINE.fullmatch(line):
            yield Block("", alone[1])
        else:
            tag, mark = _opening(line)
    if mark and any(line.strip() for line in lines):
        yield Block(tag, "".join(f"{one}\n" for one in lines))


def defines(code: str, entry: str, language: str = "python") -> bool:
    """Tell whether code defines a function, a class or a name that can be called."""
    name = re.escape(entry.rpartition(".")[2])
    pattern = "|".join(_DEFINES["python" if language == "python" else "script"]).replace("NAME", name)
    return re.search(pattern, code, re.MULTILINE) is not None


def _opening(line: str) -> tuple[str, str]:
    """Return the tag and the mark of a block that a line opens; no mark when it opens none."""
    found = _MARK.search(line)
    if found is None or "`" in line[: found.start()] or "`" in line[found.end() :]:
        return "", ""
    tag = _TAG.match(line[found.end() :].lstrip(" \t"))
    return tag[0].lower() if tag else "", found[0]


def _closing(line: str, mark: str) -> str | None:
    """Return what stands before the end of a block on its last line; None when the line does not end it."""
    bare = line.strip()
    if len(bare) >= len(mark) and not bare.strip(mark[0]):
        return ""
    before = line.rstrip().removesuffix(mark)
    return before if mark[0] == "`" and before != line.rstrip() and "`" not in before else None


def _program(blocks: Sequence[Block], language: str) -> str:
    """Return the last block in the language; else the last without one that looks like code; else the last."""
    named = [block.code for block in blocks if block.tag in _NAMES[language]]
    likely = [block.code for block in blocks if not block.tag and _begins(block.code, language) is not None]
    return (named or likely or [block.code for block in blocks])[-1]


def _defining(code: str | None, entry: str, language: str) -> str | None:
    return code if code is not None and defines(code, entry, language) else None


def _bare(text: str, language: str) -> str | None:
    """Return code that stands without a fence: from the first line that looks like code to where prose begins."""
    first = _begins(text, language)
    if first is None:
        return None
    lines = text.split("\n")[first:]
    pattern = _PYTHON if language == "python" else _SCRIPT
    kept, quoted = list[str](), False
    for line in lines:
        if not quoted and line.strip() and not (pattern.match(line) or _GOES_ON.match(line)):
            break
        quoted ^= (line.count('"""') + line.count("'''")) % 2 == 1
        kept.append(line)
    return _tidy("\n".join(kept))


def _begins(text: str, language: str) -> int | None:
    pattern = _PYTHON if language == "python" else _SCRIPT
    return next((number for number, line in enumerate(text.split("\n")) if pattern.match(line)), None)


def _tidy(text: str) -> str:
    return textwrap.dedent(text).strip("\n") + "\n"
