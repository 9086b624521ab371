"""What lies around an executor for attacks to reach: files, listeners, a process. It says what really happened."""

import ctypes
import hashlib
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attack_cgroups import Group

_MIB = 1024 * 1024
#: How much attacks may write to disks, and how much more memory may be held after one.
_DISK, _MEMORY = 64 * _MIB, 48 * _MIB
_CLOCK_SECONDS = 2.0
#: Lives beside the executor as the same user, holds a word in memory that it can find again, and notes signals.
_VICTIM = """
import ctypes, os, signal, sys
heard = []
for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
    signal.signal(number, lambda number, _: heard.append(number))
kept = ctypes.create_string_buffer(sys.argv[1].encode(), 64)
print(ctypes.addressof(kept), flush=True)
for line in sys.stdin:
    print(kept.value.decode(), heard, flush=True)
"""


_IPCRM = {"shm": "shmem-id", "msg": "queue-id", "sem": "semaphore-id"}


class World:
    """Targets, and whether any of them was hit."""

    def __init__(self, folder: Path, home: Path, executor: Path) -> None:
        """Set everything up; `home` and `executor` are the folder and the socket of the executor under attack."""
        self.sign = f"sign{secrets.token_hex(12)}"
        self.mark = f"attack-{secrets.token_hex(6)}"
        self.key = secrets.randbits(30) | 1
        self.folder, self.home, self.executor = folder / f"open-{self.mark}", home, executor
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o777)
        self.secret = self.folder / "secret"
        self.secret.write_text(self.sign)
        self.secret.chmod(0o666)
        (home / "secret").write_text(self.sign)
        self._listen()
        self._victimise()
        self._began = time.time() - time.monotonic()
        self.before = self.state()

    def _listen(self) -> None:
        self._sockets: dict[str, socket.socket] = {}
        self.inet: list[tuple[int, str, int]] = []
        for host in dict.fromkeys(("127.0.0.1", "::1", _own_address())):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                try:
                    made = _bound(socket.socket(family, kind), (host, 0))
                except OSError:
                    continue
                self._sockets[f"{kind.name} on {host}"] = made
                self.inet.append((int(family), host, made.getsockname()[1]))
        self.unix = self.folder / "unix"
        self._sockets["unix"] = _bound(socket.socket(socket.AF_UNIX), str(self.unix))
        self.unix.chmod(0o777)
        self.abstract = f"abstract-{self.mark}"
        self._sockets["abstract"] = _bound(socket.socket(socket.AF_UNIX), f"\0{self.abstract}")
        datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sockets["abstract datagrams"] = _bound(datagrams, f"\0{self.abstract}\0")

    def _victimise(self) -> None:
        self.victim = subprocess.Popen(
            [sys.executable, "-I", "-c", _VICTIM, self.sign], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.victim.stdout
        self.address = int(self.victim.stdout.readline())

    def target(self) -> dict[str, Any]:
        """Return what an attack is told: where everything is; never the sign, which is what it must not find."""
        return {
            "folder": str(self.folder), "secret": str(self.secret), "secrets": [str(self.home / "secret")],
            "home": str(self.home), "unix": str(self.unix), "executor": str(self.executor), "inet": self.inet,
            "abstract": self.abstract, "victim": self.victim.pid, "address": self.address, "key": self.key,
            "mark": self.mark,
        }  # fmt: skip

    def state(self) -> dict[str, Any]:
        """Return what no attack may change."""
        return {
            "files": _tree(self.folder) | {str(self.home / "secret"): _told(self.home / "secret")},
            "victim": self._ask_victim(),
            "tracer": _status(self.victim.pid, "TracerPid"),
            "host": (socket.gethostname(), Path("/proc/sys/kernel/core_pattern").read_text()),
            "marked": sorted(self._marked()),
        }

    def _ask_victim(self) -> str:
        if self.victim.poll() is not None:
            return f"dead: {self.victim.returncode}"
        assert self.victim.stdin
        assert self.victim.stdout
        self.victim.stdin.write("\n")
        self.victim.stdin.flush()
        return self.victim.stdout.readline().strip()

    def _marked(self) -> Iterator[str]:
        """Yield what bears the mark where the whole host would see it."""
        for folder in (
            "/dev/shm",
            "/dev/mqueue",
            "/tmp",
            "/var/tmp",
            "/run",
            "/",
            "/etc",
            "/usr/bin",
            "/root",
            "/home",
        ):
            try:
                yield from (str(path) for path in Path(folder).iterdir() if self.mark in path.name)
            except OSError:
                continue
        for kind in ("shm", "msg", "sem"):
            lines = Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]
            yield from (f"{kind} {line}" for line in lines if line.split()[0] == str(self.key))
        yield from (line for line in Path("/proc/keys").read_text().splitlines() if self.mark in line)

    def hits(self) -> list[str]:
        """Return who of the listeners was reached since the last time it was asked."""
        found = []
        for name, listener in self._sockets.items():
            try:
                if listener.type == socket.SOCK_STREAM:
                    listener.accept()[0].close()
                else:
                    listener.recv(10)
            except BlockingIOError:
                continue
            found.append(f"{name} was reached")
        return found

    def changes(self) -> list[str]:
        """Return what an attack did to the host."""
        after = self.state()
        found = [f"{key}: {self.before[key]} -> {after[key]}" for key in after if after[key] != self.before[key]]
        drift = abs(time.time() - time.monotonic() - self._began)
        found += [f"the clock was moved by {drift:.1f} s"] if drift > _CLOCK_SECONDS else []
        return found + self.hits()

    def clean(self) -> None:
        """Remove what an attack that was let through has left."""
        ctypes.CDLL(None).mq_unlink(f"/{self.mark}".encode())
        for line in list(self._marked()):
            kind, *rest = line.split()
            if line.startswith("/"):
                Path(line).unlink(missing_ok=True)
            elif kind in {"shm", "msg", "sem"}:
                subprocess.run(["ipcrm", f"--{_IPCRM[kind]}", rest[1]], check=False, capture_output=True)

    def close(self) -> None:
        """Take everything down."""
        self.victim.kill()
        self.victim.communicate()
        for listener in self._sockets.values():
            listener.close()


class Room:
    """What a family of processes had written to disks and held in memory before, and whether that has grown since."""

    def __init__(self, family: Callable[[], list[int]], group: Group | None) -> None:
        """Measure."""
        self._family, self._group = family, group
        self._wrote, self._held = _written(family()), group.memory() if group else 0

    def faults(self) -> list[str]:
        """Return what was written where it stays, and what memory has not been given back."""
        wrote = _written(self._family()) - self._wrote
        found = [f"{wrote // _MIB} MiB were written to disks"] if wrote > _DISK else []
        until = time.monotonic() + 3
        while self._group and (held := self._group.memory() - self._held) > _MEMORY:
            if time.monotonic() > until:
                return [*found, f"{held // _MIB} MiB of memory are still held"]
            time.sleep(0.05)
        return found


def _bound(made: socket.socket, where: Any) -> socket.socket:
    try:
        made.bind(where)
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    if made.type == socket.SOCK_STREAM:
        made.listen(64)
    return made


def _own_address() -> str:
    """Return an address of this machine that is not the loopback's, where it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _tree(folder: Path) -> dict[str, str]:
    return {str(path): _told(path) for path in sorted(folder.rglob("*"))}


def _told(path: Path) -> str:
    try:
        found = path.lstat()
        words = hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else ""
    except OSError as error:
        return str(error)
    return f"{found.st_mode:o} {found.st_uid} {found.st_size} {found.st_mtime_ns} {words}"


def _status(pid: int, key: str) -> str:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return "gone"
    return next(line for line in lines if line.startswith(key))


def _written(family: Iterable[int]) -> int:
    """Return the bytes that processes, and children of theirs that have ended, sent to disks.

    Not how full the disks are: a test of somebody else may be filling them. Files in memory do not count.
    """
    return sum(map(_written_by, family))


def _written_by(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:  # it has ended, and its parent counts for it; or it is not ours to look at
        return 0
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


@contextmanager
def orphanage() -> Iterator[None]:
    """Become the parent of every process below us whose own parent ends: nothing gets out of sight."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(36, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(36, 0, 0, 0, 0)
