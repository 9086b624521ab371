"""Counting tokens with a base's own tokenizer, in a child process of the train environment."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

_JOB = Path(__file__).parent.parent / "jobs" / "count_tokens.py"
_ENV = {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "PYTHONUNBUFFERED": "1",
}
_SECONDS = 1800


class TokenCounts(NamedTuple):
    """How many tokens each row of each part has, None where it could not be told; or why nothing was counted."""

    parts: dict[str, list[int | None]]
    problem: str = ""


def count_tokens(python: Path, base: Path, files: Sequence[Path]) -> TokenCounts:
    """Count the rows of these files as the trainer would; what went wrong is told, not raised."""
    if not python.exists():
        return TokenCounts({}, "the train environment is not there: `flywheel env create train`")
    if not base.is_dir():
        return TokenCounts({}, f"the base is not at {base}")
    argv = [str(python), str(_JOB), str(base), *map(str, files)]
    try:
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_SECONDS,
                               env={**os.environ, **_ENV}, stdin=subprocess.DEVNULL)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return TokenCounts({}, f"the tokens could not be counted: {error}")
    told = [_event(line) for line in ended.stdout.splitlines()]
    if ended.returncode != 0:
        reason = next((one["error"] for one in told if "error" in one), f"exit status {ended.returncode}")
        return TokenCounts({}, f"the tokens could not be counted: {reason}")
    counted = [one for one in told if one.get("event") == "counted"]
    problem = next((f"{one['file']}.jsonl {one['problem']}" for one in counted if one["problem"]), "")
    return TokenCounts({one["file"]: one["lengths"] for one in counted}, problem)


def _event(line: str) -> dict[str, Any]:
    try:
        held = json.loads(line)
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}
