"""Mining a history: commits a second beside PyDriller iterating over the same one, and what it holds in memory.

    python benchmarks/mining.py [COMMITS] [ROUNDS]

Builds a history of so many commits (10,000), of which every third is a lesson, and goes over it in turns: PyDriller
alone reading what each commit changed, PyDriller alone reading no more than names and messages, and `mine` with one
process and with one for each core. Ends with 1 when mining is slower than half of PyDriller reading changes.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pydriller import Repository

from flywheel.bootstrap.chunk_miners import Way
from flywheel.bootstrap.miners import mine
from flywheel.bootstrap.repos import look_at
from flywheel.bootstrap.shelves import Shelf

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "bootstrap"))
from histories_house import History

BAR, MOST_GROWN = 0.5, 16.0


def changes(path: Path) -> None:
    for commit in Repository(str(path)).traverse_commits():
        for file in commit.modified_files:
            assert file.new_path or file.old_path


def names(path: Path) -> None:
    for commit in Repository(str(path)).traverse_commits():
        assert commit.hash
        assert commit.msg is not None


def mined(path: Path, folder: Path, processes: int) -> list[float]:
    """Mine; return what this process and its children held after each tenth."""
    held: list[float] = []
    with Shelf(folder / f"{time.monotonic_ns()}.db") as shelf:
        mine(look_at(path), shelf, Way(own=True, processes=processes), lambda _: held.append(memory()))
    return held[:: max(len(held) // 10, 1)]


def memory() -> float:
    """Return the MiB that this process and all that it started hold."""
    found, waiting = 0.0, [os.getpid()]
    while waiting:
        folder = Path("/proc", str(waiting.pop()))
        try:
            status = (folder / "status").read_text()
            children = [task.read_text().split() for task in folder.glob("task/*/children")]
        except OSError:
            continue  # it has just ended
        found += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
        waiting += [int(child) for few in children for child in few]
    return found


def timed(work: Callable[[], object], commits: int) -> tuple[float, object]:
    began = time.perf_counter()
    found = work()
    return commits / (time.perf_counter() - began), found


def main() -> int:
    commits = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        history = History(folder / "clone")
        history.fast(commits)
        rates: dict[str, list[float]] = {}
        held: object = []
        for _ in range(rounds):
            for name, work in {
                "pydriller, changes": lambda: changes(history.path),
                "pydriller, names": lambda: names(history.path),
                "mine, 1 process": lambda: mined(history.path, folder, 1),
                f"mine, {cores} processes": lambda: mined(history.path, folder, cores),
            }.items():
                rate, told = timed(work, commits)
                rates.setdefault(name, []).append(rate)
                held = told or held
    for name, found in rates.items():
        print(f"{name:24} {statistics.median(found):8.0f} commits/s")
    bare = statistics.median(rates["pydriller, changes"])
    ratio = statistics.median(rates["mine, 1 process"]) / bare
    assert isinstance(held, list)
    print("MiB after each tenth:", ", ".join(f"{one:.0f}" for one in held))
    grown = held[-1] - held[len(held) // 5]
    print(f"mine, 1 process, beside PyDriller reading changes: {ratio:.2f} (bar {BAR})")
    print(f"MiB grown after the first fifth: {grown:.1f} (bar {MOST_GROWN})")
    return int(ratio < BAR or grown > MOST_GROWN)


if __name__ == "__main__":
    sys.exit(main())
