"""A control group for an executor under test: the limits that its unit gives it, by hand."""

import os
import shlex
import time
from pathlib import Path
from typing import Self

ROOT = Path("/sys/fs/cgroup")
MIB = 1024 * 1024


class Group:
    """A control group of either version; made by root only."""

    def __init__(self, folders: dict[str, Path], version: int) -> None:
        """Take what `make` made."""
        self._folders, self._version = folders, version

    @classmethod
    def make(cls, name: str, memory_mib: int = 512, tasks: int = 200) -> Self | None:
        """Return a new group with limits, or None where this machine lets us make none."""
        if os.geteuid() != 0:
            return None
        try:
            return cls._make(name, memory_mib, tasks)
        except OSError:
            return None

    @classmethod
    def _make(cls, name: str, memory_mib: int, tasks: int) -> Self | None:
        if (ROOT / "memory").is_dir() and (ROOT / "pids").is_dir():
            group = cls({kind: ROOT / kind / name for kind in ("memory", "pids")}, 1)
            limits = {"memory/memory.limit_in_bytes": memory_mib * MIB, "pids/pids.max": tasks}
        elif {"memory", "pids"} <= set((ROOT / "cgroup.subtree_control").read_text().split()):
            group = cls(dict.fromkeys(("memory", "pids"), ROOT / name), 2)
            limits = {"memory/memory.max": memory_mib * MIB, "pids/pids.max": tasks}
        else:
            return None
        for folder in group._folders.values():
            folder.mkdir(exist_ok=True)
        for where, limit in limits.items():
            kind, _, file = where.partition("/")
            (group._folders[kind] / file).write_text(str(limit))
        return group

    def inside(self, argv: list[str]) -> list[str]:
        """Return a command that starts in the group."""
        enter = " && ".join(
            f"echo $$ > {shlex.quote(str(folder / 'cgroup.procs'))}" for folder in self._folders.values()
        )
        return ["sh", "-c", f'{enter} && exec "$@"', "sh", *argv]

    def processes(self) -> list[int]:
        """Return who is in it."""
        return [int(pid) for file in self._folders["pids"].rglob("cgroup.procs") for pid in file.read_text().split()]

    def memory(self) -> int:
        """Return the bytes that processes and files in memory hold; not what the kernel keeps to read again."""
        lines = (self._folders["memory"] / "memory.stat").read_text().splitlines()
        found = {key: int(value) for key, _, value in (line.partition(" ") for line in lines)}
        return (found["rss"] if self._version == 1 else found["anon"]) + found["shmem"]

    def refusals(self) -> int:
        """Return how often its memory was full."""
        folder = self._folders["memory"]
        if self._version == 1:
            return int((folder / "memory.failcnt").read_text())
        return int(dict(line.split() for line in (folder / "memory.events").read_text().splitlines())["max"])

    def end(self) -> None:
        """Remove it; whatever is still in it is ended first."""
        for _ in range(100):
            for pid in self.processes():
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    continue
            try:
                for folder in sorted({each for top in self._folders.values() for each in _folders(top)}, reverse=True):
                    folder.rmdir()
            except OSError:
                time.sleep(0.05)
            else:
                return


def _folders(top: Path) -> list[Path]:
    return [top, *(path for path in top.rglob("*") if path.is_dir())] if top.is_dir() else []
