"""The process that writes the capture: takes calls from the gateway through a pipe and answers what became of them.

It ends when the gateway's end of the pipe is closed; signals, which may reach the gateway's whole group, are the
gateway's to obey.
"""

import marshal
import os
import signal
import sys
import traceback
from contextlib import suppress
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from flywheel.gateway.calls import Call
from flywheel.gateway.shelves import OwnShelf, ShelfTroubleError

_NICE = 5  # requests first


def keep(connection: "Connection[Any, Any]", shelf: OwnShelf) -> None:
    """Do what is asked, one thing after the other, until nobody can ask any more."""
    with suppress(EOFError, OSError):
        while True:
            deed, what = marshal.loads(connection.recv_bytes())  # noqa: S302 - from the gateway, of this very Python
            connection.send(_answer(shelf, deed, what))
    shelf.close()


def _answer(shelf: OwnShelf, deed: str, what: Any) -> tuple[str, Any]:
    try:
        if deed == "tidy":
            return "done", tuple(shelf.tidy(datetime.fromisoformat(what)))
        return "done", shelf.write([Call(*values) for values in what]).quarantined
    except ShelfTroubleError as error:
        return "trouble", str(error)
    except Exception:  # noqa: BLE001 - the supervised edge: told to the gateway, which logs it and goes on
        return "failed", traceback.format_exc()


def main() -> None:
    """Keep the shelf that the command line names."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):
        os.nice(_NICE)
    descriptor, path, file_bytes = sys.argv[1:]
    keep(Connection(int(descriptor)), OwnShelf(Path(path), int(file_bytes)))


if __name__ == "__main__":
    main()
