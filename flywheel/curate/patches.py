"""Changed texts as unified diffs. Pure. How diffs are read is in `flywheel.core.patches`."""

import difflib
from collections.abc import Mapping

from flywheel.core.patches import lines_of

_NOTHING = "/dev/null"
_NO_BREAK = "\\ No newline at end of file"


def diff_of(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return the unified diff between two states of some files; a file that is missing before is new."""
    return "".join(_diff(file, before.get(file), text) for file, text in after.items() if before.get(file) != text)


def _diff(file: str, before: str | None, after: str) -> str:
    old, new = lines_of(before or ""), lines_of(after)
    told = difflib.unified_diff(old, new, _NOTHING if before is None else f"a/{file}", f"b/{file}", n=3)
    lines = [line if line.endswith("\n") else f"{line}\n{_NO_BREAK}\n" for line in told]
    return "".join(lines) or f"--- {_NOTHING}\n+++ b/{file}\n"
