"""Open datasets as they are published, made up: files of them, their rows, and who runs what they bring."""

import gzip
import io
import json
import os
import subprocess
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from flywheel.bootstrap.dataset_files import print_of
from flywheel.bootstrap.dataset_readers import reader_of
from flywheel.bootstrap.import_orders import Order
from flywheel.bootstrap.imports import Tools, import_dataset
from flywheel.sandbox.programs import Ending, Run

PARQUET = """
import json, sys
import pyarrow as pa
import pyarrow.parquet as pq
rows = [json.loads(line) for line in sys.stdin]
pq.write_table(pa.Table.from_pylist(rows), sys.argv[1], row_group_size=int(sys.argv[2]))
"""


def read(name, row):
    """The lessons of a row."""
    return reader_of(name).read(row)


def write_lines(path, rows):
    """JSON lines; a row that is a text already is written as it is."""
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def write_gzip(path, rows):
    """The same, packed."""
    with gzip.open(path, "wt") as file:
        file.writelines((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    return path


def write_parquet(path, rows, group=100):
    """The same as Parquet, by the train environment."""
    argv = [str(train_python()), "-c", PARQUET, str(path), str(group)]
    subprocess.run(argv, input="".join(json.dumps(row) + "\n" for row in rows).encode(), check=True, timeout=120)
    return path


def train_python():
    """The interpreter that knows Parquet; without one the test is skipped."""
    python = os.environ.get("FLYWHEEL_TRAIN_PYTHON")
    if not python or not Path(python).exists():
        pytest.skip("the train environment is not built")
    return Path(python)


def order_of(name, *files, licence="", **changes):
    """An order for files."""
    return Order(name, tuple((file, print_of(file)) for file in files), licence or reader_of(name).licence, **changes)


async def imported(order, shelf, runner=None, python=Path("/nowhere"), say=lambda _: None):
    """What an import of an order comes to."""
    return await import_dataset(order, shelf, Tools(runner or Instant(), python, say=say))


def shelved(shelf, prefix="import/"):
    """All makings of the shelf, by their tasks."""
    return {task: shelf.makings(task) for task in list(shelf.tasks(prefix))}


class Instant:
    """Runs programs of the tests' own in this very process: at once, and contained by nothing."""

    def __init__(self, why_not=""):
        self.asked = []
        self.why_not = why_not

    async def check(self):
        """Say what stands in the way."""
        return self.why_not

    async def run(self, program):
        """Run each of its tests."""
        self.asked.append(program)
        if program.calls:
            return tuple(_run(program, call=call) for call in program.calls)
        return tuple(_run(program, stdin=stdin) for stdin in program.inputs)


def _run(program, stdin="", call=None):
    names, printed = {"__name__": "__main__" if call is None else "solution"}, io.StringIO()
    try:
        with patch("sys.stdin", io.StringIO(stdin)), redirect_stdout(printed):
            exec(program.code, names)  # noqa: S102 - it is ours
            if call is not None:
                owner, _, method = program.entry.partition(".")
                entry = getattr(names[owner](), method) if method else names[owner]
                value = entry(*call.args, **call.kwargs)
                return Run(ending=Ending.FINISHED, value=json.dumps(value))
    except MemoryError:
        return Run(ending=Ending.TIMED_OUT)
    except BaseException as error:  # noqa: BLE001 - it is what programs do
        return Run(ending=Ending.RAISED, detail=str(error))
    return Run(ending=Ending.FINISHED, output=printed.getvalue())


ADDS = "a, b = map(int, input().split())\nprint(a + b)"
SUBTRACTS = "a, b = map(int, input().split())\nprint(a - b)"


def code_contests(number=1, **changes):
    """A problem of CodeContests: parallel lists, and a code for the language."""
    return {
        "name": f"{1000 + number}_A. Sums {number}",
        "description": f"Two numbers of case {number} stand on a line. Print their sum.\n\nInput\n\nTwo integers.",
        "public_tests": {"input": ["1 2\n"], "output": ["3\n"]},
        "private_tests": {"input": [f"{number} 5\n"], "output": [f"{number + 5}\n"]},
        "generated_tests": {"input": [], "output": []},
        "source": 2, "difficulty": 7,
        "solutions": {
            "language": [2, 1, 3, 3, 4],
            "solution": ["int main() {}", "print sum(map(int, raw_input().split()))", SUBTRACTS, ADDS, "class Main {}"],
        },
        "incorrect_solutions": {"language": [3, 2], "solution": ["print(0)", "int main() {}"]},
        "cf_contest_id": 1000 + number // 2, "cf_index": "A", "cf_points": 500.0, "cf_rating": 800,
        "cf_tags": ["math", "implementation"], "is_description_translated": False, "untranslated_description": "",
        "time_limit": {"seconds": 2, "nanos": 0}, "memory_limit_bytes": 256000000, "input_file": "", "output_file": "",
    } | changes  # fmt: skip


def apps_row(number=1, **changes):
    """A problem of APPS: JSON inside texts."""
    tests = {"inputs": ["1 2\n", f"{number} 5\n"], "outputs": ["3\n", f"{number + 5}\n"]}
    return {
        "problem_id": number, "question": f"Print the sum of the two numbers of task {number}.",
        "solutions": json.dumps([SUBTRACTS, ADDS]), "input_output": json.dumps(tests), "difficulty": "introductory",
        "url": f"https://codeforces.com/problemset/problem/{1000 + number}/A", "starter_code": "",
    } | changes  # fmt: skip


def apps_function(**changes):
    """A problem of APPS whose method is called."""
    starter = "class Solution:\n    def add(self, a: int, b: int) -> int:\n        "
    tests = {"fn_name": "add", "inputs": [[1, 2], [4, 5]], "outputs": [[3], [9]]}
    solution = "class Solution:\n    def add(self, a, b):\n        return a + b"
    return apps_row(9, starter_code=starter, input_output=json.dumps(tests), solutions=json.dumps([solution]),
                    url="https://leetcode.com/problems/add/") | changes  # fmt: skip


def taco_row(number=1, **changes):
    """A problem of TACO: as APPS, with tags as texts of Python lists."""
    told = apps_row(number, problem_id=None)
    del told["problem_id"]
    return told | {
        "raw_tags": "['dp', 'trees']", "name": None, "source": "codeforces", "tags": "['Dynamic programming']",
        "skill_types": "['Dynamic programming']", "Expected Auxiliary Space": None, "time_limit": "2.0 seconds",
        "date": "2019-12-24", "picture_num": "0", "memory_limit": "256.0 megabytes", "Expected Time Complexity": None,
    } | changes  # fmt: skip
