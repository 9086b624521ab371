"""A helper: `python -m flywheel.sources.chunk_readers VERSION SLOT...`, started by `helpers` and by nobody else.

It takes tickets from standard input, one byte each: the number of a slot, which is an open file in memory. There lies
a chunk of raw rows; the reading takes its place, and standard output says so. It ends with its standard input, which
all helpers share and which ends with the daemon, however that went. It writes nothing else anywhere.
"""

import contextlib
import gc
import os
import pickle
import select
import signal
import struct
import sys
from collections.abc import Sequence

from flywheel import __version__
from flywheel.core.garbage import without_collections
from flywheel.sources.chunk_replies import reply_of
from flywheel.sources.chunks import Chunk, read_chunk

DONE = struct.Struct("<BQ")  # the slot's number, and how long what lies there now is

_TICKETS, _ANSWERS = 0, 1


def help_out(slots: Sequence[int]) -> None:
    """Read chunks until there will be no more tickets, or nobody wants to know."""
    while (number := _ticket()) is not None:
        with without_collections():
            size = _work(slots[number])
        os.write(_ANSWERS, DONE.pack(number, size))


def _work(slot: int) -> int:
    chunk = Chunk(*pickle.loads(os.pread(slot, os.fstat(slot).st_size, 0)))  # noqa: S301 - of the process that started us
    return write_slot(slot, reply_of(chunk.settings.name, read_chunk(chunk)))


def write_slot(slot: int, data: bytes) -> int:
    """Let a slot hold these bytes, and return how many they are."""
    os.ftruncate(slot, 0)
    left = memoryview(data)
    while left:
        left = left[os.pwrite(slot, left, len(data) - len(left)) :]
    return len(data)


def _ticket() -> int | None:
    """Wait for a ticket that nobody else took; None when there will be none."""
    waiting = select.poll()
    waiting.register(_TICKETS, select.POLLIN)
    while True:
        waiting.poll()
        with contextlib.suppress(BlockingIOError):  # somebody was faster
            taken = os.read(_TICKETS, 1)
            return taken[0] if taken else None


def main(arguments: Sequence[str]) -> int:
    """Help the version that was started, and no other: a package may be upgraded under a running daemon."""
    if not arguments or arguments[0] != __version__:
        return 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the daemon, which then ends us
    gc.freeze()
    with contextlib.suppress(BrokenPipeError):
        help_out([int(argument) for argument in arguments[1:]])
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
