"""What a job says: JSON lines on the standard output it was started with, and nothing else there."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO

_voice: TextIO = sys.stdout


def keep_chatter_off() -> None:
    """From here on only `tell` reaches the standard output; prints of libraries and of their children go to stderr."""
    global _voice
    _voice = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)


def tell(event: str, **body: Any) -> None:
    """Say one event, at once."""
    _voice.write(json.dumps({"event": event, **body}) + "\n")
    _voice.flush()


def failed(reason: str) -> None:
    """Say in one line why the job ends without a result."""
    line = " ".join(reason.split())
    tell("failed", error=line)
    print(line, file=sys.stderr)
