"""Importing open datasets: the same shelf whatever the order, the format and the kills; every row counted."""

import asyncio
import gzip
import json
import random
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from datasets_house import (
    ADDS,
    SUBTRACTS,
    Instant,
    apps_row,
    code_contests,
    imported,
    order_of,
    shelved,
    taco_row,
    train_python,
    write_gzip,
    write_lines,
    write_parquet,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.bootstrap import imports
from flywheel.bootstrap.dataset_files import Columns, dataset_rows
from flywheel.bootstrap.dataset_readers import READERS, reader_of
from flywheel.bootstrap.import_orders import Report
from flywheel.bootstrap.licence_names import spdx_of
from flywheel.bootstrap.samples import Sample, lot_of
from flywheel.bootstrap.shelves import Shelf
from flywheel.core.errors import MisuseError, UnavailableError
from flywheel.proc.row_files import Unreadable


@pytest.fixture
def shelf(home):
    with Shelf(home / "bootstrap.db") as shelf:
        yield shelf


def go(order, shelf, runner=None, **more) -> Report:
    return asyncio.run(imported(order, shelf, runner, **more))


def test_a_row_becomes_what_was_proved_of_it(shelf, tmp_path):
    """Of a problem's solutions one that works is kept, with its evidence, its tests, its licence and its place."""
    report = go(order_of("codecontests", write_lines(tmp_path / "a.jsonl", [code_contests()])), shelf)
    assert (report.rows, report.kept, report.makings) == (1, 1, 2)
    ((task, (right, wrong)),) = shelved(shelf).items()
    assert (right.recipe, right.origin, right.licence) == ("import", "synthetic", "CC-BY-4.0")
    assert ADDS in right.response
    assert right.signals[0].points == 1
    assert wrong.signals[0].points == -1
    assert right.messages == wrong.messages
    assert right.about["tests"] == {"tests": [{"stdin": "1 2\n", "stdout": "3\n"}, {"stdin": "1 5\n", "stdout": "6\n"}]}
    assert "tests" not in wrong.about
    assert right.about["dataset"] == "codecontests"
    assert right.about["foreign"] is True
    assert task.startswith(f"import/codecontests/{right.about['row']}")


def test_every_row_that_teaches_nothing_is_counted_by_its_first_reason(shelf, tmp_path):
    """Rows that are no JSON, no object, no problem or not borne out by their tests: each is counted and named."""
    rows = [apps_row(1), "{", "[1]", apps_row(2, question=""), apps_row(3, solutions=json.dumps([SUBTRACTS])),
            apps_row(4, input_output=""), apps_row(5, question=""), "", apps_row(6)]  # fmt: skip
    report = go(order_of("apps", write_lines(tmp_path / "a.jsonl", rows)), shelf)
    assert (report.rows, report.kept) == (8, 2)
    assert report.rejected == {"a row is no JSON": 1, "a row is no object": 1, "no question": 2,
                               "its program fails a test": 1, "no tests": 1}  # fmt: skip
    assert report.firsts["no question"] == ["a.jsonl:4", "a.jsonl:7"]
    assert report.rows == report.kept + sum(report.rejected.values())


def test_the_same_again_changes_nothing(shelf, tmp_path):
    """An order that is done asks nobody; the same rows under another name or order are the same tasks."""
    rows = [apps_row(number) for number in range(6)]
    order = order_of("apps", write_lines(tmp_path / "a.jsonl", rows))
    first, held = go(order, shelf), shelved(shelf)
    assert go(order, shelf, Instant("nobody is there")) == first
    random.Random(1).shuffle(rows)
    go(order_of("apps", write_gzip(tmp_path / "b.jsonl.gz", [*rows, *rows])), shelf)
    assert shelved(shelf) == held


def test_columns_that_nobody_reads_make_no_other_row(shelf, tmp_path):
    """More columns, and another order of them, are the same row."""
    row = apps_row(1)
    more = dict(reversed([*row.items(), ("__index__", 7)]))
    go(order_of("apps", write_lines(tmp_path / "a.jsonl", [row, more])), shelf)
    assert len(shelved(shelf)) == 1


def test_a_sample_does_not_depend_on_the_order(tmp_path, home):
    """So many rows are drawn by the seed, whatever order of rows and files; a larger sample holds the smaller."""
    rows = [apps_row(number) for number in range(60)]
    found = []
    for number, cut in enumerate((60, 20, 41)):
        random.Random(number).shuffle(rows)
        files = [write_lines(tmp_path / f"{number}{part}.jsonl", some)
                 for part, some in enumerate((rows[:cut], rows[cut:])) if some]  # fmt: skip
        with Shelf(home / f"{number}.db") as shelf:
            report = go(order_of("apps", *files, sample=10, seed=7), shelf)
            assert (report.rows, report.kept) == (10, 10)
            found.append(shelved(shelf))
            go(order_of("apps", *files, sample=25, seed=7), shelf)
            assert len(shelved(shelf)) == 25
            go(order_of("apps", *files, sample=10, seed=8), shelf)
            assert len(shelved(shelf)) > 25
    assert found[0] == found[1] == found[2]


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 12))
def test_drawing_keeps_the_smallest_lots(lots, count):
    """The largest lot of a sample is that of all different lots in order."""
    wanted, sample = sorted(set(lots))[:count], Sample(count)
    for lot in lots:
        sample.add(lot)
    assert sample.largest == (wanted[-1] if wanted else -1)


def test_lots_are_spread():
    """Of a thousand rows about half have a lot in the lower half."""
    assert 400 < sum(lot_of(str(number), 3) < 16**16 // 2 for number in range(1000)) < 600


def test_a_limit_is_kept_to_the_row(shelf, tmp_path):
    """So many rows teach and no more; the rest is not even looked at."""
    rows = [apps_row(number, **({} if number % 2 else {"question": ""})) for number in range(1, 90)]
    report = go(order_of("apps", write_lines(tmp_path / "a.jsonl", rows), limit=30), shelf)
    assert (report.kept, len(shelved(shelf)), report.rows) == (30, 30, 59)
    assert report.done


def test_parquet_and_lines_are_the_same(tmp_path, home):
    """Nested columns come out of Parquet as they do out of JSON: one shelf, byte for byte; groups of rows or not."""
    python = train_python()
    rows = [code_contests(number) for number in range(12)]
    found = []
    for number, file in enumerate(
        (write_lines(tmp_path / "a.jsonl", rows), write_parquet(tmp_path / "a.parquet", rows, 5))
    ):
        with Shelf(home / f"{number}.db") as shelf:
            report = go(order_of("codecontests", file), shelf, python=python)
            assert report.kept == 12
            found.append(shelved(shelf))
    assert found[0] == found[1]


def test_parquet_goes_on_where_it_stopped(shelf, tmp_path):
    """Rows that were imported are not unpacked again, across groups of rows."""
    python = train_python()
    rows = [taco_row(number) for number in range(40)]
    order = order_of("taco", write_parquet(tmp_path / "a.parquet", rows, 7))

    class Dies(Instant):
        async def run(self, program):
            if len(self.asked) > 70:
                raise UnavailableError("gone")
            return await super().run(program)

    with pytest.raises(UnavailableError):
        go(order, shelf, Dies(), python=python)
    begun = imports.report_of(shelf, order)
    assert 0 < begun.row < 40
    report = go(order, shelf, python=python)
    assert (report.rows, report.kept, len(shelved(shelf))) == (40, 40, 40)


_ODD_TYPES = r"""
import datetime as dt, decimal, sys
import pyarrow as pa
import pyarrow.parquet as pq
at = dt.datetime(2024, 5, 6, 7, 8, 9)
row = {"at": at, "day": at.date(), "raw": b"\xff", "said": b"ok", "share": float("nan"),
       "price": decimal.Decimal("1.5"), "big": 2**60, "flag": True, "none": None, "other": "not asked for",
       "deep": [{"a": [1, 2]}, {"a": None}]}
table = pa.Table.from_pylist([row])
pairs = pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))
pq.write_table(table.append_column("pairs", pairs), sys.argv[1])
"""


def test_every_type_of_parquet_becomes_json(tmp_path):
    """Times, bytes, numbers that are none, decimals, maps and nests: each comes as JSON can say it, asked-for alone."""
    python, file = train_python(), tmp_path / "odd.parquet"
    subprocess.run([str(python), "-c", _ODD_TYPES, str(file)], check=True, timeout=120)
    names = ("at", "day", "raw", "said", "share", "price", "big", "flag", "none", "deep", "pairs", "missing")
    (row,) = dataset_rows(file, Columns(names, python), 0, lambda *_: None)
    assert row == {
        "at": "2024-05-06T07:08:09", "day": "2024-05-06", "raw": "/w==", "said": "ok", "share": None, "price": 1.5,
        "big": 2**60, "flag": True, "none": None, "deep": [{"a": [1, 2]}, {"a": None}], "pairs": [["k", 1]],
    }  # fmt: skip


LINES = st.lists(
    st.sampled_from([b'{"a": 1, "b": 2}', b"{", b"[1]", b"", b"  ", b"\xff", b'{"a": NaN}', b"7"]), max_size=9
)


@settings(max_examples=60)
@given(LINES | st.lists(st.binary(max_size=12), max_size=4), st.booleans(), st.integers(0, 9))
def test_files_of_anything_are_read_or_refused(tmp_path_factory, lines, packed, skip):
    """Whatever a file holds, its rows are read or it is refused in a sentence; going on gives the rows behind."""
    path = tmp_path_factory.getbasetemp() / "rows"
    data = b"\n".join(lines)
    path.write_bytes(gzip.compress(data) if packed else data)
    columns = Columns(("a",), Path("/nowhere"))
    try:
        rows = list(dataset_rows(path, columns, 0, lambda *_: None))
        assert list(dataset_rows(path, columns, skip, lambda *_: None)) == rows[skip:]
    except MisuseError:
        return
    assert all(isinstance(row, Unreadable) or row.keys() <= {"a"} for row in rows)


def test_what_is_no_parquet_is_said(shelf, tmp_path):
    """A file that only begins as Parquet, and Parquet where nobody can read it, are said in a sentence."""
    file = tmp_path / "a.parquet"
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(MisuseError, match="train environment"):
        go(order_of("taco", file), shelf)
    with pytest.raises(MisuseError, match=r"a\.parquet cannot be read"):
        go(order_of("taco", file), shelf, python=train_python())


def test_a_packed_file_that_nobody_reads_is_said(shelf, tmp_path):
    """Zstandard is said, and how to mend it."""
    file = tmp_path / "a.jsonl.zst"
    file.write_bytes(b"\x28\xb5\x2f\xfd rows")
    with pytest.raises(MisuseError, match="Zstandard"):
        go(order_of("taco", file), shelf)


def test_without_an_executor_nothing_is_proved(shelf, tmp_path):
    """Rows that would have to be proved are not begun where nobody can run them."""
    order = order_of("apps", write_lines(tmp_path / "a.jsonl", [apps_row()]))
    with pytest.raises(UnavailableError, match="no box"):
        go(order, shelf, Instant("no box"))
    assert not shelved(shelf)


def test_killed_at_any_time_it_comes_to_the_same(tmp_path, home):
    """Broken off after every so many programs and begun again: the same shelf and the same counts."""
    rows = [apps_row(number, **({} if number % 5 else {"question": ""})) for number in range(200)]
    files = (write_lines(tmp_path / "a.jsonl", rows[:120]), write_lines(tmp_path / "b.jsonl", rows[120:]))
    order = order_of("apps", *files, sample=150, seed=3)
    with Shelf(home / "whole.db") as shelf:
        whole = (go(order, shelf), shelved(shelf))

    class Dies(Instant):
        async def run(self, program):
            if len(self.asked) > 34:
                raise UnavailableError("gone")
            return await super().run(program)

    broken = 0
    while True:
        with Shelf(home / "broken.db") as shelf:
            try:
                report = go(order, shelf, Dies())
            except UnavailableError:
                broken += 1
                continue
            assert (report, shelved(shelf)) == whole
        break
    assert broken >= 7


def test_whoever_wants_to_end_it_has_a_turn_while_rows_are_drawn(shelf, tmp_path):
    """Ctrl-C ends an import within a few rows, also while it only looks which rows to draw."""
    order = order_of("apps", write_lines(tmp_path / "a.jsonl", [apps_row(number) for number in range(900)]), sample=5)
    heard = []

    async def cut():
        begun = asyncio.Event()

        def say(progress):
            heard.append(progress)
            begun.set()

        going = asyncio.create_task(imported(order, shelf, say=say))
        await begun.wait()
        going.cancel()
        await going

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cut())
    assert {progress.phase for progress in heard} == {"drawing"}
    assert len(heard) <= 2


_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from datasets_house import Instant, imported, order_of
from flywheel.bootstrap.shelves import Shelf

class Killed(Instant):
    async def run(self, program):
        if len(self.asked) > int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().run(program)

with Shelf(Path(sys.argv[3])) as shelf:
    asyncio.run(imported(order_of("apps", Path(sys.argv[2])), shelf, Killed()))
"""


def test_kill_9_leaves_nothing_out_and_makes_nothing_twice(tmp_path, home):
    """Killed by the system in the middle of a chunk, and in the next one after a new beginning: the same shelf."""
    file = write_lines(tmp_path / "a.jsonl", [apps_row(number) for number in range(90)])
    with Shelf(home / "whole.db") as shelf:
        whole = (go(order_of("apps", file), shelf), shelved(shelf))
    for programs in (40, 50):
        argv = [sys.executable, "-c", _KILLED, str(Path(__file__).parent), str(file), str(home / "b.db"), str(programs)]
        assert subprocess.run(argv, check=False, timeout=120).returncode == -signal.SIGKILL
    with Shelf(home / "b.db") as shelf:
        begun = imports.report_of(shelf, order_of("apps", file))
        assert 0 < begun.row < 90
        assert len(shelved(shelf)) == begun.kept
        assert (go(order_of("apps", file), shelf), shelved(shelf)) == whole


def test_memory_does_not_grow_with_the_file(shelf, tmp_path):
    """A file of thirty megabytes is read in few: rows are held a few at a time, and lots of the sample alone."""
    with (tmp_path / "a.jsonl").open("w") as file:
        for number in range(1500):
            file.write(json.dumps(apps_row(number, question=f"{number} {'x' * 20_000}")) + "\n")
    order = order_of("apps", tmp_path / "a.jsonl", sample=100)
    tracemalloc.start()
    try:
        report = go(order, shelf)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.kept == 100
    assert peak < 12_000_000


@pytest.mark.parametrize(
    ("name", "spdx"),
    [("mit", "MIT"), ("Apache 2.0", "Apache-2.0"), ("cc-by-4.0", "CC-BY-4.0"), ("license:", "unknown"), ("", "unknown"),
     ("other", "unknown"), ("no such: licence!", "unknown"), ("WTFPL", "WTFPL"), ("odc-by", "ODC-By-1.0")],
)  # fmt: skip
def test_licences_get_their_spdx_ids(name, spdx):
    """However a dataset writes it, a licence is its SPDX id, and what says nothing is unknown."""
    assert spdx_of(name) == spdx


def test_a_licence_and_a_line_are_put_on_what_is_made(shelf, tmp_path):
    """What is said of a file holds for rows that say nothing of their own."""
    go(order_of("apps", write_lines(tmp_path / "a.jsonl", [apps_row()]), licence="unknown", line="code"), shelf)
    ((making,),) = shelved(shelf).values()
    assert (making.licence, making.line) == ("unknown", "code")


def test_every_reader_says_what_it_reads():
    """Names, licences, dates and columns are there; an unknown dataset, and one to examine with, are refused."""
    for name, reader in READERS.items():
        assert reader.name == name == name.lower()
        assert spdx_of(reader.licence) == reader.licence
        assert reader.published.tzinfo is not None
        assert reader.columns
        assert isinstance(reader.proves, bool)
    with pytest.raises(MisuseError, match="no reader"):
        reader_of("nothing")
    with pytest.raises(MisuseError, match="to examine with"):
        reader_of("livecodebench")
