"""The warden of one test: reads it from the line, forks its process, watches it, says what came of it, and ends.

It is born from the fork server before the test comes, and ends with it: what it knows, no other test can find.
"""

import fcntl
import os
import select
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from . import children, walls, wires

#: How a warden ends: it served a test of code, or a command; or the executor has left.
KEPT_CODE, KEPT_COMMAND, LEFT = 10, 11, 12
_ODD = 70
_CHUNK = 65536
_COMPLAINTS = 16384


class Pipe:
    """What a test's process says on one descriptor, up to a limit; or the last of it."""

    def __init__(self, limit: int, *, last: bool = False) -> None:
        """Open both ends."""
        self.source, self.sink = os.pipe()
        os.set_blocking(self.source, False)
        self.heard = bytearray()
        self._limit, self._last = limit, last

    @property
    def over(self) -> bool:
        """Tell whether more was said than may be."""
        return not self._last and len(self.heard) > self._limit

    def read(self) -> bool:
        """Take what there is; False when nobody can say anything any more."""
        try:
            part = os.read(self.source, _CHUNK)
        except BlockingIOError:
            return True
        self.heard += part
        if self._last:
            del self.heard[: -self._limit]
        return bool(part)

    def drain(self) -> None:
        """Take what is left of a process that has ended; what others still write is not waited for."""
        before = -1
        while not self.over and len(self.heard) != before:
            before = len(self.heard)
            self.read()


def keep(line: int, put_up: walls.Walls, scratch: str) -> NoReturn:
    """Serve the next test on the line; never returns."""
    status = _ODD
    try:
        walls.end_with_parent()
        trial = wires.read(line)
        if trial is None:
            status = LEFT
        else:
            told, raw = _serve(trial, put_up, scratch, line)
            wires.write(line, told, *raw)
            status = KEPT_COMMAND if children.is_command(trial) else KEPT_CODE
    except BrokenPipeError:
        status = LEFT
    finally:
        os._exit(status)


def _serve(trial: dict[str, Any], put_up: walls.Walls, scratch: str, line: int) -> tuple[dict[str, Any], list[bytes]]:
    folder = os.path.join(scratch, "work")  # noqa: PTH118 - pathlib is not worth its start here
    _lay_out(trial["files"], folder)
    cap = trial["limits"]["output_bytes"]
    pipes = {"output": Pipe(cap), "errors": Pipe(_COMPLAINTS, last=True), "word": Pipe(cap)}
    stdin = _sealed(trial["stdin"].encode())
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        children.live(trial, put_up, folder, (stdin, *(pipe.sink for pipe in pipes.values())))
    for descriptor in (stdin, *(pipe.sink for pipe in pipes.values())):
        os.close(descriptor)
    why = _watch(pid, line, list(pipes.values()), began + trial["limits"]["seconds"])
    seconds = time.monotonic() - began
    os.kill(pid, signal.SIGKILL)  # still ours to wait for, so the number is its own
    _, how = os.waitpid(pid, 0)
    for pipe in pipes.values():
        pipe.drain()
    told = {"status": os.waitstatus_to_exitcode(how), "why": why, "seconds": seconds}
    return told, [bytes(pipe.heard) for pipe in pipes.values()]


def _watch(pid: int, line: int, pipes: list[Pipe], until: float) -> str:
    """Listen until the process ends (empty), its time is up, or it has said too much."""
    ended = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        poll.register(line, select.POLLRDHUP)  # nothing is said here before we have answered: it only ends
        by_source = {pipe.source: pipe for pipe in pipes}
        for source in by_source:
            poll.register(source, select.POLLIN)
        while (left := until - time.monotonic()) > 0:
            ready = [descriptor for descriptor, _ in poll.poll(left * 1000 + 1)]
            if line in ready:
                raise BrokenPipeError
            for descriptor in ready:
                pipe = by_source.get(descriptor)
                if pipe is not None and not pipe.read():
                    poll.unregister(descriptor)
                if pipe is not None and pipe.over:
                    return "too much"
            if ended in ready:
                return ""
        return "time"
    finally:
        os.close(ended)


def _lay_out(files: Mapping[str, str], folder: str) -> None:
    os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103
    os.chdir(folder)
    for name, text in files.items():
        if name.startswith("/") or ".." in name.split("/"):
            sys.exit("a file leads out of its folder")
        if "/" in name:
            os.makedirs(os.path.dirname(name), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120
        with open(name, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)


def _sealed(data: bytes) -> int:
    """Return a descriptor to read the data from, that nobody can write to."""
    descriptor = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor
