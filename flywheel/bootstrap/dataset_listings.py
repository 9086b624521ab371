"""Files as two datasets show them: `[start of name]`, its lines with their numbers, `[end of name]`. Pure."""

import re

from flywheel.core.foreign_rows import BadRowError

_START = re.compile(r"\[start of ([^\[\]\n]{1,300})\]")
_NUMBERED = re.compile(r" *(\d+)(?: (.*))?", re.DOTALL)
_OPEN, _CLOSE = "<code>\n", "\n</code>"


def files_listed(prompt: str) -> dict[str, str]:
    """Return the files between the first `<code>` and its end, in order; raises BadRowError when one has no end."""
    _, opened, rest = prompt.partition(_OPEN)
    if not opened:
        raise BadRowError("no files in the prompt")
    lines, found = rest.split("\n"), dict[str, str]()
    at = 0
    while at < len(lines) and lines[at].strip() != "</code>":
        head = _START.fullmatch(lines[at].strip())
        if head is None:
            at += 1
            continue
        end = f"[end of {head[1]}]"
        last = next((number for number in range(at + 1, len(lines)) if lines[number].strip() == end), None)
        if last is None:
            raise BadRowError("a file in the prompt has no end")
        found[head[1].strip()] = _unnumbered(lines[at + 1 : last])
        at = last + 1
    return found


def between(prompt: str, tag: str) -> str:
    """Return what stands between a tag and its end; empty where there is none."""
    _, opened, rest = prompt.partition(f"<{tag}>\n")
    inner, closed, _ = rest.partition(f"\n</{tag}>")
    return inner.strip() if opened and closed else ""


def _unnumbered(lines: list[str]) -> str:
    """Return lines without their numbers; as they stand where they are not numbered from 1."""
    told = [_NUMBERED.fullmatch(line) for line in lines]
    if not any(lines) or any(one is None or int(one[1]) != place for place, one in enumerate(told, 1)):
        return "\n".join(lines)
    return "\n".join((one[2] or "") if one else "" for one in told)
