"""A control group for each box, where this process may make some: its memory and its processes are bounded together.

Version 2 needs a delegated group (`Delegate=memory pids` in the unit); version 1 needs root. Where neither is there,
the unit's own limits bound all boxes together, and every process has its limits.
"""

import contextlib
import os
from pathlib import Path

from flywheel.core.frozen import Frozen

_ROOT = Path("/sys/fs/cgroup")
_KEEPER = "keeper"


class Groups(Frozen):
    """Where groups are made: one folder in version 2, one for each controller in version 1; none where none may be."""

    folders: tuple[Path, ...] = ()
    version: int = 0


class Group(Frozen):
    """One box's group."""

    folders: tuple[Path, ...] = ()

    @property
    def doors(self) -> tuple[str, ...]:
        """Return the files that a process writes itself into to enter."""
        return tuple(str(folder / "cgroup.procs") for folder in self.folders)

    def remove(self) -> None:
        """Remove the group; one that is not empty yet stays, and is found and removed by the next start."""
        for folder in self.folders:
            with contextlib.suppress(OSError):
                folder.rmdir()


def find_groups(root: Path = _ROOT, own: str | None = None) -> Groups:
    """Return where this process may make groups; moves itself into a leaf of its own where version 2 asks for that."""
    lines = (Path("/proc/self/cgroup").read_text() if own is None else own).splitlines()
    places = {names: path for _, names, path in (line.split(":", 2) for line in lines)}
    unified = root / places.get("", "/").lstrip("/")
    unified = unified.parent if unified.name == _KEEPER else unified  # where an earlier look has put us
    with contextlib.suppress(OSError):
        if _delegated(unified):
            return Groups(folders=(unified,), version=2)
    legacy = [root / name / places[name].lstrip("/") for name in ("memory", "pids") if name in places]
    if os.geteuid() == 0 and len(legacy) == 2 and all(os.access(folder / "cgroup.procs", os.W_OK) for folder in legacy):  # noqa: PLR2004
        return Groups(folders=tuple(legacy), version=1)
    return Groups()


def sweep_groups(groups: Groups, prefix: str) -> None:
    """Remove the groups that an executor left which was killed: `prefix`, its process id, and a place name each."""
    for folder in groups.folders:
        for group in folder.glob(f"{prefix}*"):
            owner = group.name.removeprefix(prefix).partition("-")[0]
            if not Path(f"/proc/{owner}").exists():
                with contextlib.suppress(OSError):
                    group.rmdir()


def make_group(groups: Groups, name: str, memory_mib: int, processes: int) -> Group:
    """Make a box's group with its bounds; an empty one where none can be made; OSError where it fails."""
    memory = str(memory_mib * 1024 * 1024)
    bounds = {
        0: {},
        1: {"memory.limit_in_bytes": memory, "memory.memsw.limit_in_bytes": memory, "pids.max": str(processes)},
        2: {"memory.max": memory, "memory.swap.max": "0", "memory.oom.group": "1", "pids.max": str(processes)},
    }[groups.version]
    made = []
    for folder in groups.folders:
        group = folder / name
        with contextlib.suppress(FileExistsError):
            group.mkdir()
        made.append(group)
        for bound, value in bounds.items():
            if (group / bound).exists():
                (group / bound).write_text(value)
    return Group(folders=tuple(made))


def _delegated(folder: Path) -> bool:
    """Tell whether memory and processes can be bounded in groups below this one, after making it so where possible."""
    if not {"memory", "pids"} <= set((folder / "cgroup.controllers").read_text().split()):
        return False
    given = set((folder / "cgroup.subtree_control").read_text().split())
    if not {"memory", "pids"} <= given:
        members = set((folder / "cgroup.procs").read_text().split())
        if members != {str(os.getpid())}:
            return False  # a session's group, or another's: not ours to arrange
        keeper = folder / _KEEPER
        keeper.mkdir(exist_ok=True)
        (keeper / "cgroup.procs").write_text("0")  # a group with processes of its own gives no controllers on
        (folder / "cgroup.subtree_control").write_text("+memory +pids")
    return os.access(folder, os.W_OK)
