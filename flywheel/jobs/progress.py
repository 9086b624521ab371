"""What a job says: JSON lines on the standard output it was started with, and nothing else there."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO

_voices: list[TextIO] = [sys.stdout]


def keep_chatter_off() -> None:
    """Let only `tell` reach the standard output from here on; what libraries print goes to stderr."""
    _voices[0] = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)


def tell(event: str, **body: Any) -> None:
    """Say one event, at once."""
    _voices[0].write(json.dumps({"event": event, **body}) + "\n")
    _voices[0].flush()


def failed(reason: str) -> None:
    """Say in one line why the job ends without a result."""
    line = " ".join(reason.split())
    tell("failed", error=line)
    print(line, file=sys.stderr)
