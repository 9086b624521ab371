"""How much memory is free: on the GPU a run would take, or of the machine where there is none."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

_SECONDS = 5
_MIB = 1 << 20


class GpuMemory(NamedTuple):
    """One GPU's memory, in bytes."""

    free: int
    total: int


def gpu_memory() -> GpuMemory | None:
    """Return the memory of the GPU a run would take, the first one that is visible; None where there is none."""
    if shutil.which("nvidia-smi") is None:
        return None
    chosen = (os.environ.get("CUDA_VISIBLE_DEVICES") or "0").partition(",")[0].strip() or "0"
    line = ["nvidia-smi", f"--id={chosen}", "--query-gpu=memory.free,memory.total", "--format=csv,noheader,nounits"]
    try:
        found = subprocess.run(line, capture_output=True, text=True, check=False, timeout=_SECONDS)
        free, total = (int(word) for word in found.stdout.split(","))
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return GpuMemory(free * _MIB, total * _MIB)


def free_ram(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Return the bytes that a new process may take without swapping; None where the system does not tell."""
    try:
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return None
    return None
