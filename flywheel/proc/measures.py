"""What work costs: memory of its processes, size of its folder, room on its disk; as the system tells it."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

GIB = 1 << 30

_VMSTAT = Path("/proc/vmstat")


def group_memory(group: int) -> int:
    """Return the resident bytes of all processes of a group, added up; memory they share counts for each."""
    proc = Path("/proc")
    if not (proc / "self" / "stat").exists():
        return _group_memory_by_ps(group)
    return sum(_resident(entry, group) for entry in proc.iterdir() if entry.name.isdigit())


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below a folder; files that vanish meanwhile do not count."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).lstat().st_size
            except OSError:
                continue
    return total


def free_disk(place: Path) -> int:
    """Return the bytes that may still be written where a place is, or will be made."""
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def oom_kills() -> int | None:
    """Return how often the kernel has killed a process for want of memory, or None where it does not say."""
    try:
        words = _VMSTAT.read_text().split()
    except OSError:
        return None
    return int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else None


def offer_first(pid: int) -> None:
    """Let the kernel end this process, and what it starts, before others when memory runs out."""
    with contextlib.suppress(OSError):  # where there is no such file, or the process is gone
        Path(f"/proc/{pid}/oom_score_adj").write_text("500")


def _resident(process: Path, group: int) -> int:
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    # After the name: state, parent, group …; the resident pages are the 24th field of the line.
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") if int(fields[2]) == group else 0


def _group_memory_by_ps(group: int) -> int:
    """Where there is no /proc (macOS)."""
    found = subprocess.run(["ps", "-A", "-o", "pgid=,rss="], capture_output=True, text=True, check=False)
    rows = [line.split() for line in found.stdout.splitlines()]
    return sum(int(row[1]) * 1024 for row in rows if len(row) == 2 and row[0] == str(group))  # noqa: PLR2004 - two columns
