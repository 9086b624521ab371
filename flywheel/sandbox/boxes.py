"""One box: a process that contains, a warm fork server inside, and a line to it. Its answers are not trusted."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
from typing import Any, Protocol, Self

from flywheel.core.errors import CorruptError, UnavailableError
from flywheel.sandbox.bubbles import Ground, box_argv, environment
from flywheel.sandbox.bundles import bundle
from flywheel.sandbox.cgroups import Group
from flywheel.sandbox.endings import Told
from flywheel.sandbox.frames import encode, read_frame
from flywheel.sandbox.languages import Trial, said

_START_SECONDS = 20.0
_GRACE_SECONDS = 5.0
_END_SECONDS = 5.0
_HEADER = 64 * 1024
_SLACK = 128 * 1024
_COMPLAINTS = 16384
_FIRST_UID = 0x70000000  # above what systems give out; the processes of a box share it with nobody
#: Enters the box's groups, asks the kernel to take the box first when memory runs out, and becomes the box.
_ENTER = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 71; shift; done; shift; {oom}; exec "$@"'
_OOM = "echo 1000 > /proc/self/oom_score_adj"


class LostError(Exception):
    """The box is dead or odd: the test it had is failed, and another box is made."""


class Maker(Protocol):
    """Makes boxes, each for a place of its own."""

    async def __call__(self, place: int) -> "Box":
        """Return a box that is ready; raises UnavailableError where it cannot be."""
        ...


class Box:
    """A box that is ready for tests, one after another."""

    def __init__(self, process: "subprocess.Popen[bytes]", line: socket.socket, group: Group, place: int) -> None:
        """Take over a started box."""
        self._process = process
        self._line = line
        self._group = group
        self.place = place
        self._first: int | None = None
        self._ended = asyncio.Event()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.landlock = 0

    @classmethod
    async def start(cls, ground: Ground, group: Group, place: int) -> Self:
        """Start a box; raises UnavailableError with its last words when it does not come up."""
        with contextlib.ExitStack() as ends:
            complaints = ends.enter_context(tempfile.TemporaryFile())
            info, info_end = os.pipe()
            ends.callback(os.close, info)
            ours, theirs = socket.socketpair()
            with contextlib.ExitStack() as theirs_only:
                theirs_only.enter_context(theirs)
                theirs_only.callback(os.close, info_end)
                code = bundle()
                theirs_only.callback(os.close, code)
                process = _spawn(ground, group, (code, theirs.fileno(), info_end), complaints.fileno())
            box = cls(process, ours, group, place)
            await box._begin(ground, info, complaints)
            return box

    @property
    def dead(self) -> bool:
        """Tell whether it has ended, on its own or by another's hand."""
        return self._ended.is_set()

    async def run(self, trial: Trial) -> Told:
        """Run one test; raises LostError when the box does not answer as a box does."""
        cap = trial.limits.output_bytes
        if self._reader is None or self._writer is None or self._ended.is_set():
            raise LostError("what contains it has ended")
        try:
            self._writer.write(encode(said(trial)))
            async with asyncio.timeout(trial.limits.seconds + _GRACE_SECONDS):
                await self._writer.drain()
                header = await read_frame(self._reader, _HEADER)
                sizes = _sizes(header, (cap + _SLACK, _COMPLAINTS, cap + _SLACK))
                output, errors, word = [await self._reader.readexactly(size) for size in sizes]
        except (TimeoutError, OSError, EOFError, CorruptError) as error:
            raise LostError(str(error) or "it did not answer in time") from error
        return _told(header or {}, output, errors, word)

    async def close(self) -> None:
        """End everything in the box, and wait until it is gone."""
        if self._writer is not None:
            self._writer.close()
        self._line.close()
        if self._first is not None and not self._ended.is_set():
            # The first process of the namespace: the kernel ends all others before bubblewrap sees it gone.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._first, signal.SIGKILL)
            if await self._gone(_END_SECONDS):
                return self._forget()
        self._process.kill()
        await self._gone(_END_SECONDS)
        return self._forget()

    def _forget(self) -> None:
        self._group.remove()
        if self._folder is not None:
            self._folder.cleanup()

    async def _gone(self, seconds: float) -> bool:
        """Wait for the box's outermost process; False when it is still there."""
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True

    def _watch(self) -> None:
        """Notice the end of the outermost process, without a thread: the line ends with it."""
        loop, descriptor = asyncio.get_running_loop(), os.pidfd_open(self._process.pid)

        def ended() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            self._process.wait()
            self._ended.set()
            self._line.close() if self._writer is None else self._writer.close()

        loop.add_reader(descriptor, ended)

    async def _begin(self, ground: Ground, info: int, complaints: Any) -> None:
        begun = False
        self._watch()
        try:
            self._reader, self._writer = await asyncio.open_connection(sock=self._line)
            self._writer.write(encode(self._setup(ground)))
            async with asyncio.timeout(_START_SECONDS):
                ready = await read_frame(self._reader, _HEADER)
            self.landlock = int((ready or {})["landlock"])
            if ground.containment == "bubblewrap":
                self._first = int(json.loads(os.read(info, 4096))["child-pid"])
            begun = True
        except (TimeoutError, OSError, ValueError, KeyError, CorruptError) as error:
            raise UnavailableError(f"a box does not start{_words(complaints)}") from error
        finally:
            if not begun:
                await self.close()

    def _setup(self, ground: Ground) -> dict[str, Any]:
        uid = _FIRST_UID + (os.getpid() & 0xFFFF) * 64 + self.place if ground.privileged else None
        if ground.containment == "bubblewrap":
            return {"uid": uid, "scratch": ground.scratch, "readable": ["/"]}
        self._folder = tempfile.TemporaryDirectory(prefix="flywheel-box-", ignore_cleanup_errors=True)
        if uid is not None:
            os.chown(self._folder.name, uid, uid)
        return {"uid": uid, "scratch": self._folder.name, "readable": [*ground.readable, *ground.links]}


def _spawn(ground: Ground, group: Group, inherited: tuple[int, int, int], complaints: int) -> "subprocess.Popen[bytes]":
    """Start a box's outermost process; from the loop's own thread, whose end is the box's end."""
    enter = _ENTER.format(oom=_OOM)
    try:
        return subprocess.Popen(
            ["/bin/sh", "-c", enter, "box", *group.doors, "--", *box_argv(ground, *inherited)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            env=environment(ground),
            cwd="/",
            pass_fds=inherited,
            start_new_session=True,
        )
    except OSError as error:
        raise UnavailableError(f"a box does not start: {error.strerror}", "free memory or processes") from error


def _sizes(header: dict[str, Any] | None, most: tuple[int, ...]) -> list[int]:
    """Return the announced lengths of output, errors and word, if a box can have announced them."""
    sizes = (header or {}).get("sizes")
    if not isinstance(sizes, list) or len(sizes) != len(most):
        raise CorruptError("the box says nothing that can be read")
    if not all(isinstance(size, int) and 0 <= size <= limit for size, limit in zip(sizes, most, strict=True)):
        raise CorruptError("the box says more than it may")
    return sizes


def _told(header: dict[str, Any], output: bytes, errors: bytes, word: bytes) -> Told:
    status, why, seconds = header.get("status"), header.get("why"), header.get("seconds")
    if not isinstance(status, int) or why not in {"", "time", "too much"} or not isinstance(seconds, int | float):
        raise LostError("the box says nothing that can be read")
    if word.startswith(b'{"walls"'):
        raise LostError(f"a wall does not stand: {word[:200].decode(errors='replace')}")
    return Told(
        status=None if why == "time" else status,
        output=output,
        errors=errors,
        word=word,
        seconds=seconds,
        too_much=why == "too much",
    )


def _words(complaints: Any) -> str:
    """Return the box's last words, as the end of a sentence."""
    complaints.seek(0)
    lines = complaints.read()[-_COMPLAINTS:].decode(errors="replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""
