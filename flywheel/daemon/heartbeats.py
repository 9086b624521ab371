"""A sign of life that everybody who may read the home can see: the time at which the daemon's loop last turned.

It is the time of the lock's file, so that it costs no write to the store and needs no port.
"""

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from flywheel.daemon.locks import NAME

BEAT_SECONDS = 10.0
#: Without a beat for so long the loop hangs: a cycle with much to do may keep it busy for a while.
SILENT_SECONDS = 120.0


def beat(home: Path) -> None:
    """Leave the sign."""
    with suppress(OSError):  # a disk that is away is told elsewhere
        os.utime(home / NAME)


def last_beat(home: Path) -> datetime | None:
    """Return when the loop last turned; None where no daemon ever ran."""
    try:
        return datetime.fromtimestamp((home / NAME).stat().st_mtime, UTC)
    except OSError:
        return None
