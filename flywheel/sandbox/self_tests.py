"""The self-test: proves on the spot that a box holds, by trying from inside what must not work.

Each attempt is a test like any other, run in a real box beside a witness outside: a file, a listening port, a process.
What it says is judged here. One attempt that does not end as promised, and nothing is evaluated.
"""

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from flywheel.core.frozen import Frozen
from flywheel.sandbox.languages import Trial
from flywheel.sandbox.programs import Call, Ending, Limits, Run

_LIMITS = Limits(seconds=30, memory_mib=128, output_bytes=100_000)
_SHORT = Limits(seconds=0.5, memory_mib=128, output_bytes=100_000)
_MOST_PROCESSES = 128
_NOBODYS_PORT = 9

_ATTEMPTS = """
import ctypes, os, signal, socket, sys

def _all_fail(attempts):
    for what, attempt in attempts:
        try:
            attempt()
        except (OSError, MemoryError):
            continue
        return what
    return "held"

def _denied(result):
    if result == -1:
        raise OSError
    return result

def network(port, name):
    def udp():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"x", ("127.0.0.1", port))
    def abstract():
        with socket.socket(socket.AF_UNIX) as s:
            s.connect("\\0" + name)
    return _all_fail([
        ("a connection to the machine's loopback", lambda: socket.create_connection(("127.0.0.1", port), 0.5)),
        ("a connection to another machine", lambda: socket.create_connection(("192.0.2.1", 80), 0.5)),
        ("a datagram", udp), ("an abstract socket", abstract),
        ("a raw socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    ])

def writes(paths):
    others = [("a new folder", lambda: os.mkdir("/tmp/there")), ("a memory file", lambda: os.memfd_create("x"))]
    return _all_fail([(f"writing {path}", lambda path=path: open(path, "w")) for path in paths] + others)

def reads(paths):
    return _all_fail([(f"reading {path}", lambda path=path: open(path, "rb").read(1)) for path in paths])

def proc():
    return _all_fail([("/proc", lambda: os.listdir("/proc")), ("/proc/self", lambda: open("/proc/self/environ")),
                      ("/sys", lambda: os.listdir("/sys"))])

def others(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    return _all_fail([
        ("a signal to the executor", lambda: os.kill(pid, 0)),
        ("a signal to the fork server", lambda: os.kill(os.getppid() or 1, signal.SIGKILL)),
        ("a signal to everybody", lambda: os.kill(-1, 0)),
        ("tracing the fork server", lambda: _denied(libc.ptrace(16, os.getppid() or 1, 0, 0))),
        ("a user namespace", lambda: _denied(libc.unshare(0x10000000))),
        ("limits of the fork server", lambda: __import__("resource").prlimit(1, 7, (1, 1))),
    ])

def forks():
    return _all_fail([("a fork", os.fork), ("another program", lambda: os.execv(sys.executable, [sys.executable])),
                      ("a process", lambda: os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {}))])

def memory(mib):
    return _all_fail([("more memory than allowed", lambda: bytearray(mib * 1024 * 1024))])

def descriptors():
    return _all_fail([(f"descriptor {number}", lambda number=number: os.fstat(number)) for number in range(4, 1024)])
"""
_STUBBORN = "import signal\nfor n in {1, 2, 3, 14, 15, 24}: signal.signal(n, signal.SIG_IGN)\nwhile True: pass"
_TALK = "while True: print('x' * 1000)"
_BOMB = """
import os, time
made = 0
try:
    while made < 1000:
        if os.fork() == 0:
            time.sleep(60)
        made += 1
except OSError:
    pass
print(made)
"""


class Attempt(Frozen):
    """Something that must not work, and what it is an attempt at."""

    at: str
    trial: Trial
    ending: Ending = Ending.FINISHED


class Tester(Protocol):
    """Runs a trial in a box."""

    async def run(self, trial: Trial) -> Run:
        """Return what the trial did."""
        ...


async def why_not_held(pool: Tester, *, commands: bool, python: str) -> str:
    """Return nothing when everything held, else the sentence that says what did not."""
    with _witness() as (folder, port, name):
        for attempt in _attempts(folder, port, name, python):
            found = await pool.run(attempt.trial)
            if why := _judged(attempt, found):
                return f"the box does not hold: {why}"
    if not commands:
        return ""
    bomb = await pool.run(Trial(kind="command", argv=("python", "-c", _BOMB), limits=_LIMITS))
    held = bomb.ending is Ending.FINISHED and bomb.output.strip().isdigit() and int(bomb.output) <= _MOST_PROCESSES
    return "" if held else f"the box does not hold: processes without end ({bomb.output.strip() or bomb.detail})"


def _attempts(folder: Path, port: int, name: str, python: str) -> Iterator[Attempt]:
    secret = str(folder / "secret")
    library = str(Path(python).parent.parent / "lib")
    calls: dict[str, list[Any]] = {
        "network": [port, name],
        "writes": [[secret, "/written", "/tmp/written", f"{library}/written", "/box.zip"]],  # noqa: S108 - in the box
        "reads": [[secret, "/etc/passwd", "/etc/shadow"]],
        "proc": [],
        "others": [os.getpid()],
        "forks": [],
        "memory": [_LIMITS.memory_mib * 4],
        "descriptors": [],
    }
    for entry, args in calls.items():
        call = Call(args=tuple(args))
        yield Attempt(at=entry, trial=Trial(kind="call", code=_ATTEMPTS, entry=entry, call=call, limits=_LIMITS))
    stubborn = Trial(kind="script", code=_STUBBORN, limits=_SHORT)
    talk = Trial(kind="script", code=_TALK, limits=_LIMITS)
    yield Attempt(at="a test that does not end", trial=stubborn, ending=Ending.TIMED_OUT)
    yield Attempt(at="a test that prints without end", trial=talk, ending=Ending.TOO_MUCH)


def _judged(attempt: Attempt, found: Run) -> str:
    if found.ending is not attempt.ending:
        return f"{attempt.at}: {found.ending} ({found.detail or 'without a word'})"
    if attempt.ending is not Ending.FINISHED:
        return ""
    said = json.loads(found.value or "null")
    return "" if said == "held" else f"{attempt.at}: {said} works"


@contextmanager
def _witness() -> Iterator[tuple[Path, int, str]]:
    """Give what must be out of reach: a folder with a secret, a port of the loopback, an abstract socket's name."""
    name = f"flywheel-witness-{os.getpid()}-{os.urandom(4).hex()}"
    with ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="flywheel-witness-")))
        folder.chmod(0o755)
        (folder / "secret").write_text("secret")
        (folder / "secret").chmod(0o666)
        port = _NOBODYS_PORT
        with suppress(OSError):  # the executor's own unit gives it no network either
            port = ends.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        abstract = ends.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind("\0" + name)
        abstract.listen()
        yield folder, port, name
