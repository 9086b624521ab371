"""Dies on purpose, once at every boundary: how the tests prove that a crash anywhere is repaired.

`FLYWHEEL_KILL_FILE` names a file that collects the boundaries already died at; at the next
one that is not in it, the process adds it, makes that durable, and ends without a word, as
a power cut would. Unset, as in service, nothing listens.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path


def kill_listener(path: Path) -> Callable[[str], None]:
    """Return a listener that kills this process at the first boundary it has not died at yet."""
    seen = set(path.read_text().splitlines()) if path.exists() else set()

    def listen(boundary: str) -> None:
        if boundary in seen:
            return
        with path.open("a") as file:
            file.write(boundary + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.kill(os.getpid(), signal.SIGKILL)

    return listen
