"""One child process a folder. The child holds the folder's lock for as long as it lives.

The lock is an open file that the child inherits: the kernel lets go of it when the last
process of the work is gone, however it went. A restarted daemon therefore knows without
guessing whether the work of a folder is still under way, even for a child whose process
id it never learnt.
"""

import errno
import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from flywheel.core.errors import PermanentError, ResourceError
from flywheel.core.jobs import ProcessMark

LOCK = "lock"
_RAN_OUT = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}


def is_busy(folder: Path) -> bool:
    """Tell whether a process is at work in this folder."""
    try:
        lock = (folder / LOCK).open("ab")
    except FileNotFoundError:
        return False
    with lock:
        return not _try_lock(lock.fileno())


def launch(argv: Sequence[str], folder: Path, env: Mapping[str, str], nice: int = 0) -> subprocess.Popen[bytes]:
    """Start the one process of a folder in a group of its own; refuse when one is at work there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("ab") as lock:
        if not _try_lock(lock.fileno()):
            raise ResourceError(f"another process is at work in {folder.name}", delay=1)
        child = _spawn(argv, folder, env, lock.fileno())
    if nice:
        with suppress(PermissionError):  # under the shipped unit the slice's weight takes its place
            os.setpriority(os.PRIO_PROCESS, child.pid, nice)
    return child


def mark(pid: int) -> ProcessMark:
    """Return a process's id with the moment it began, so that a reused id is not taken for it."""
    return ProcessMark(pid=pid, started=_started(pid))


def end(process: ProcessMark, force: bool = False) -> bool:  # noqa: FBT001, FBT002 - a signal is soft or hard
    """Ask the process's whole group to leave (or make it); False when it is gone or is somebody else."""
    if process.started < 0 or _started(process.pid) != process.started:
        return False
    try:
        os.killpg(process.pid, signal.SIGKILL if force else signal.SIGTERM)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def at_work(folder: Path) -> list[ProcessMark]:
    """Return the groups at work in this folder, by who has its lock open: also a child whose id nobody ever learnt.

    Where there is no /proc (macOS) nobody is found; such a child ends by itself.
    """
    lock, groups = (folder / LOCK).resolve(), set()
    for entry in Path("/proc").glob("[0-9]*/fd"):
        try:
            if entry.parent.name != str(os.getpid()) and any(link.readlink() == lock for link in entry.iterdir()):
                groups.add(os.getpgid(int(entry.parent.name)))
        except OSError:
            continue  # somebody else's process, or one that has just ended
    return [mark(group) for group in sorted(groups)]


def _spawn(argv: Sequence[str], folder: Path, env: Mapping[str, str], lock: int) -> subprocess.Popen[bytes]:
    with (folder / "log.jsonl").open("ab") as out, (folder / "stderr.log").open("ab") as err:
        try:
            return subprocess.Popen(
                list(argv),
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                pass_fds=(lock,),
            )
        except OSError as error:
            if error.errno in _RAN_OUT:
                raise ResourceError(f"cannot start {argv[0]}: {error.strerror}", "free memory or processes") from error
            raise PermanentError(f"cannot start {argv[0]}: {error.strerror}", "see `flywheel env list`") from error


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _started(pid: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return -1.0 if Path("/proc/self/stat").exists() else _started_by_ps(pid)
    return float(stat.rpartition(")")[2].split()[19])


def _started_by_ps(pid: int) -> float:
    """Where there is no /proc (macOS): the start time as `ps` tells it, as a number that only equals itself."""
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return float(sum(ord(c) * (i + 1) for i, c in enumerate(json.dumps(found.stdout)))) if found.stdout else -1.0
