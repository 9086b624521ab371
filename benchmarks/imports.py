"""Importing a dataset: rows a second and the most memory, by format, and for a file of four times the rows.

    python benchmarks/imports.py [ROWS] [PYTHON OF THE TRAIN ENVIRONMENT]

Writes so many made-up problems (2,500) of about 4 KB as JSON lines, packed, and as Parquet, and imports them: all, and
a sample of a tenth. Programs are run in the importing process, which says what importing costs, not what boxes cost.
Ends with 1 when four times the rows take more than 24 MiB more.
"""

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "bootstrap"))
from datasets_house import ADDS, PARQUET, SUBTRACTS, Instant, apps_row, imported, order_of, write_gzip

from flywheel.bootstrap.shelves import Shelf

MOST_GROWN = 24.0
WORDS = [f"word{number}" for number in range(5000)]


def problems(count: int):
    for number in range(count):
        words = " ".join(random.Random(number).choices(WORDS, k=450))
        yield apps_row(number, question=f"{number} {words}", solutions=json.dumps([ADDS, SUBTRACTS]))


def write(folder: Path, count: int, python: str) -> dict[str, Path]:
    files = {"lines": folder / "a.jsonl", "gzip": write_gzip(folder / "a.jsonl.gz", problems(count))}
    with files["lines"].open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in problems(count))
    if python:
        files["parquet"] = folder / "a.parquet"
        with files["lines"].open("rb") as lines:
            subprocess.run([python, "-c", PARQUET, str(files["parquet"]), "1000"], stdin=lines, check=True)
    return files


def measure(file: str, shelf: str, sample: str, python: str) -> None:
    """Import in this process; print rows a second, and the most that it and its children held in MiB."""
    import resource

    order = order_of("apps", Path(file), sample=int(sample) or None)
    runner = Instant()
    runner.asked = deque(maxlen=1)
    began = time.perf_counter()
    with Shelf(Path(shelf)) as held:
        report = asyncio.run(imported(order, held, runner, Path(python)))
    seconds = time.perf_counter() - began
    # Of its own memory the kernel's mark since it began: what getrusage says counts what whoever started it held.
    told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    own = int(told["VmHWM"].split()[0]) / 1024
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps([report.kept, seconds, own, child]))


def main(count: int, python: str) -> int:
    worst = 0.0
    grown: dict[str, list[float]] = {}
    for rows in (count, 4 * count):
        with tempfile.TemporaryDirectory() as folder:
            for form, file in write(Path(folder), rows, python).items():
                for sample in (0, rows // 10):
                    db = f"{folder}/{form}{sample}.db"
                    argv = [sys.executable, __file__, "--one", str(file), db, str(sample), python]
                    kept, seconds, own, child = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
                    grown.setdefault(f"{form}, {'sample' if sample else 'all'}", []).append(max(own, child))
                    size = file.stat().st_size >> 20
                    print(f"{form:8} {rows:6} rows, {size:4} MiB, {kept:6} kept: {rows / seconds:6.0f} rows/s; "
                          f"at most {own:.0f} MiB, child {child:.0f} MiB")  # fmt: skip
    for name, (less, more) in grown.items():
        print(f"{name}: {more - less:+.0f} MiB for four times the rows")
        worst = max(worst, more - less)
    return 1 if worst > MOST_GROWN else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(*sys.argv[2:])
        sys.exit(0)
    sys.exit(main(int((sys.argv[1:] or ["2500"])[0]), (sys.argv[2:] or [""])[0]))
