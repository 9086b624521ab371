"""Event files that TensorBoard reads: checked against published vectors and a file of its own writer."""

import math
import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fixtures.tiny import JOBS

sys.path.insert(0, str(JOBS))
import charts  # type: ignore[import-not-found]

sys.path.remove(str(JOBS))

GOLDEN = Path(__file__).parents[1] / "data" / "tensorboard" / "events.out.tfevents.golden"


class Point(NamedTuple):
    """What one event says."""

    step: int
    tag: str
    value: float


def fields(message: bytes) -> list[tuple[int, Any]]:
    """Return the fields of a protocol buffer, in order: number and value."""
    found: list[tuple[int, Any]] = []
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        kind, number = key & 7, key >> 3
        if kind == 0:
            found.append((number, varint()))
        elif kind in {1, 5}:
            size = 8 if kind == 1 else 4
            found.append((number, struct.unpack("<d" if kind == 1 else "<f", message[at : at + size])[0]))
            at += size
        else:
            length = varint()
            found.append((number, message[at : at + length]))
            at += length
    return found


def records(data: bytes) -> list[bytes]:
    """Return the records of an event file; every checksum must fit."""
    found, at = [], 0
    while at < len(data):
        (length,) = struct.unpack("<Q", data[at : at + 8])
        assert data[at + 8 : at + 12] == charts._masked(data[at : at + 8])
        body = data[at + 12 : at + 12 + length]
        assert data[at + 12 + length : at + 16 + length] == charts._masked(body)
        found.append(body)
        at += 16 + length
    return found


def points(path: Path) -> list[Point]:
    """Return every point of an event file."""
    found = []
    for record in records(path.read_bytes()):
        event = dict(fields(record))
        for number, value in fields(event.get(5, b"")):
            assert number == 1
            told = dict(fields(value))
            found.append(Point(event.get(2, 0), told[1].decode(), told[2]))
    return found


@pytest.mark.parametrize(
    ("data", "checksum"),
    [(b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)],
)
def test_the_checksum_is_crc32c(data: bytes, checksum: int) -> None:
    """The vectors of RFC 3720."""
    assert charts.crc32c(data) == checksum


def test_the_reader_of_these_tests_reads_what_tensorboard_wrote() -> None:
    """A file of TensorBoard's own writer, kept as it was written: the same checksums, the same fields."""
    found = points(GOLDEN)
    assert [point.step for point in found if point.tag == "train/loss"] == [1, 2, 300]
    assert [round(point.value, 4) for point in found if point.tag == "train/loss"] == [0.5, 0.25, 0.125]
    assert dict(fields(records(GOLDEN.read_bytes())[0]))[3] == b"brain.Event:2"


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    """Every curve, every step, every value, also those that are no numbers; all of it at once on the disk's way."""
    with closing(charts.Charts(tmp_path / "tensorboard", 1)) as made:
        made.add(1, {"train/loss": 0.5, "train/learning_rate": 1e-3})
        made.add(300, {"train/loss": math.nan})
    (path,) = (tmp_path / "tensorboard").iterdir()
    found = points(path)
    assert [(point.step, point.tag) for point in found] == [
        (1, "train/loss"), (1, "train/learning_rate"), (300, "train/loss"),
    ]  # fmt: skip
    assert [found[0].value, pytest.approx(found[1].value)] == [0.5, 1e-3]
    assert math.isnan(found[2].value)


def test_a_run_that_goes_on_says_from_where(tmp_path: Path) -> None:
    """The second file is named after the first and begins with the step from which on the first no longer counts."""
    with closing(charts.Charts(tmp_path, 1)) as first:
        for step in range(1, 6):
            first.add(step, {"train/loss": 1.0})
    with closing(charts.Charts(tmp_path, 3)) as second:
        second.add(3, {"train/loss": 0.5})
    _, later = sorted(tmp_path.iterdir())
    begun = dict(fields(records(later.read_bytes())[1]))
    assert (begun[2], dict(fields(begun[7]))) == (3, {1: 1})
    assert [point.step for point in points(later)] == [3]


TELLING = """
import sys
from contextlib import closing
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import progress
progress.draw(Path(sys.argv[2]), 1)
progress.tell("started", steps=2)
progress.tell("step", step=1, of=2, loss=0.5, learning_rate=0.1, tokens_per_second=float("nan"))
progress.tell("eval", step=1, loss=float("inf"))
progress.tell("checkpoint", step=1)
"""


def test_what_a_job_tells_is_what_is_drawn(tmp_path: Path) -> None:
    """Steps and evaluations become points; on the output a number that is none is null, as JSON has no such number."""
    done = subprocess.run(
        [sys.executable, "-c", TELLING, str(JOBS), str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert '"tokens_per_second": null' in done.stdout
    assert '"event": "eval", "step": 1, "loss": null' in done.stdout
    (path,) = tmp_path.iterdir()
    assert [point.tag for point in points(path)] == [
        "train/loss", "train/learning_rate", "train/tokens_per_second", "eval/loss",
    ]  # fmt: skip
