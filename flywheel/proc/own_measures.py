"""What the kernel says of this very process, under the names that Prometheus' own libraries use."""

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_STAT_STARTED = 19  # the field of /proc/self/stat behind the name, counted from the state


def own_measures() -> Iterator[tuple[str, float]]:
    """Yield name and number; what a system does not tell is left out."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield "process_cpu_seconds_total", used.ru_utime + used.ru_stime
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        yield "process_resident_memory_bytes", pages * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError, IndexError):
        yield "process_start_time_seconds", _started()
    with suppress(OSError):
        yield "process_open_fds", sum(1 for _ in Path("/proc/self/fd").iterdir())


def _started() -> float:
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    return int(booted.split()[1]) + int(fields[_STAT_STARTED]) / os.sysconf("SC_CLK_TCK")
