"""The fork server: the warm interpreter in a box. It forks a warden for each test, and clears up after both.

It is the first process of the box's pid namespace where the box has one: no signal from inside ends it, and `kill(-1)`
after each test ends everything else there. It never reads a test itself, so that nothing of one test is in the memory
that the next is born with. Anything odd ends the server: the executor then fails the test and makes a new box.
"""

import gc
import importlib
import os
import signal
import sys
import time

from . import walls, wardens, wires

#: What programs import most: loaded once here, there already in every test. Each library mapped makes a fork dearer, so
#: what is heavy or rare (asyncio, hashlib, decimal) is left to the test that wants it.
_WARM = (
    "abc", "bisect", "collections.abc", "contextlib", "copy", "dataclasses", "enum", "functools", "heapq", "io",
    "itertools", "json", "math", "operator", "random", "re", "string", "threading", "time", "traceback", "types",
    "typing",
)  # fmt: skip
_LOW = 3
_PATIENCE_SECONDS = 2.0


def main(line: int) -> None:
    """Serve on descriptor `line` until the executor leaves."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.open("/", os.O_RDONLY) <= _LOW:  # so that none of ours is where a test's descriptors go
        pass
    setup = wires.read(line)
    if setup is None:
        return
    for name in _WARM:
        importlib.import_module(name)
    walls.become_nobody(setup["uid"])
    put_up = walls.Walls(setup)
    put_up.put_on_all()
    gc.collect()
    gc.freeze()
    gc.disable()
    wires.write(line, {"ready": os.getpid(), "landlock": put_up.landlock})
    while _one_test(line, put_up, setup["scratch"]):
        pass


def _one_test(line: int, put_up: walls.Walls, scratch: str) -> bool:
    """Let a warden serve the next test and clear up after it; False when the executor has left."""
    warden = os.fork()
    if warden == 0:
        wardens.keep(line, put_up, scratch)
    _, how = os.waitpid(warden, 0)
    _clear()
    status = os.waitstatus_to_exitcode(how)
    if status == wardens.KEPT_CODE:
        _sweep(scratch)
    elif status not in {wardens.KEPT_COMMAND, wardens.LEFT}:
        sys.exit(f"the warden ended with {status}")
    return status != wardens.LEFT


def _clear() -> None:
    """End everything that is left; leave when something stays. Alone in no namespace, a test has nothing to leave."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        if os.getpid() == 1:
            _kill_all()
        try:
            found, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if found == 0:
            if time.monotonic() > until:
                sys.exit("a process does not end")
            time.sleep(0.0002)


def _kill_all() -> None:
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        return


def _sweep(scratch: str) -> None:
    """Leave nothing for the next test; a test of code can write nowhere, so what lies here is what we laid out."""
    os.chdir("/")
    for folder, folders, files in os.walk(scratch, topdown=False):
        for name in files:
            os.unlink(os.path.join(folder, name))  # noqa: PTH108, PTH118
        for name in folders:
            os.rmdir(os.path.join(folder, name))  # noqa: PTH106, PTH118
