"""What a job says: JSON lines on the standard output it was started with, and nothing else there.

What a curve can be drawn of also goes to TensorBoard's event files, once `draw` has named their folder.
"""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from charts import Charts

_voices: list[TextIO] = [sys.stdout]
_charts: list[Charts] = []
_CURVES = {
    "step": {
        "loss": "train/loss",
        "learning_rate": "train/learning_rate",
        "tokens_per_second": "train/tokens_per_second",
    },
    "eval": {"loss": "eval/loss"},
}
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed", "insufficient memory")


def keep_chatter_off() -> None:
    """Let only `tell` reach the standard output from here on; what libraries print goes to stderr."""
    _voices[0] = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)


def draw(folder: Path, first_step: int) -> None:
    """Draw the curves of what is told from here on into event files of this folder, from `first_step` on anew."""
    for chart in _charts:  # a run of two stages has a folder for each
        chart.close()
    _charts[:] = [Charts(folder, first_step)]


def tell(event: str, **body: Any) -> None:
    """Say one event, at once; a number that is none is said as null."""
    told = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in body.items()
    }
    _voices[0].write(json.dumps({"event": event, **told}) + "\n")
    _voices[0].flush()
    points = {name: body[key] for key, name in _CURVES.get(event, {}).items() if body.get(key) is not None}
    for chart in _charts if points else ():
        chart.add(int(body["step"]), points)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether it was memory that a library or Python could not get, on the device or beside it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _NO_MEMORY)


def broke(error: BaseException) -> None:
    """Say that the job broke, and first, as an event of its own, that it was memory that ran out."""
    reason = f"{type(error).__name__}: {error}".strip(": ")
    if is_out_of_memory(error):
        tell("out_of_memory", error=" ".join(reason.split())[:500])
    failed(reason)


def failed(reason: str) -> None:
    """Say in one line why the job ends without a result."""
    line = " ".join(reason.split())
    tell("failed", error=line)
    print(line, file=sys.stderr)
