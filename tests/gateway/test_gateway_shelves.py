"""The process that writes the capture does what the gateway's own thread would, and its end loses nothing."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flywheel.core.clocks import SystemClock
from flywheel.gateway.calls import Call
from flywheel.gateway.captures import CaptureWriter
from flywheel.gateway.shelves import OwnShelf, Shelf, ShelfElsewhere, ShelfTroubleError

KEY = b"ghp_" + b"Ab1Cd2Ef3Gh4" * 3


def call(number: int, request: bytes = b"{}") -> Call:
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    return Call(
        f"c{number}", at, "a", "m", "active", 1, "s", "prompt", None, 200, False, True, False,
        request, b"r", 1, 2, 3.0, 1.0,
    )  # fmt: skip


def stored(path: Path) -> list[tuple[str, str | None]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT id, quarantine FROM calls ORDER BY seq").fetchall()
    finally:
        connection.close()


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def shelf(kind: type[OwnShelf | ShelfElsewhere], path: Path, file_bytes: int = 2**30) -> Iterator[Shelf]:
    one = kind(path, file_bytes)
    try:
        yield one
    finally:
        one.close()


@pytest.mark.parametrize("kind", [OwnShelf, ShelfElsewhere])
def test_a_shelf_keeps_its_promises(kind: type[OwnShelf | ShelfElsewhere], tmp_path: Path) -> None:
    """Here or elsewhere: batches are whole, come twice without harm, lose their secrets, and go when they are old."""
    path = tmp_path / "c.db"
    with shelf(kind, path) as one:
        assert one.write([call(0), call(1, KEY)]).quarantined == {"c1": "github-token"}
        one.write([call(1), call(2)])
        assert stored(path) == [("c0", None), ("c1", "github-token"), ("c2", None)]
        with pytest.raises((OverflowError, RuntimeError), match="too large"):
            one.write([call(3), call(4)._replace(prompt_tokens=2**70)])
        assert len(stored(path)) == 3
        assert one.tidy(datetime.now(UTC) - timedelta(days=1)) == (0, False)
        assert one.tidy(datetime.now(UTC) + timedelta(days=1)) == (3, False)
        assert stored(path) == []
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(ShelfTroubleError, match="OperationalError: database is locked"):
            one.write([call(5)])
        lock.close()
        one.close()
        one.write([call(5)])
    assert stored(path) == [("c5", None)]


def test_a_killed_process_loses_no_call(tmp_path: Path) -> None:
    """What it had taken is brought to the next one, and nothing is there twice."""
    path = tmp_path / "c.db"
    writer = CaptureWriter(path, SystemClock(), apart=True)
    assert isinstance(writer._shelf, ShelfElsewhere)
    writer.start()
    for number in range(10):
        writer.offer(call(number))
        if number in {3, 6}:
            until(lambda: writer.counts().written == number + 1)  # noqa: B023
            assert writer._shelf._process
            os.kill(writer._shelf._process.pid, signal.SIGKILL)
    until(lambda: writer.counts().written == 10)
    counts = writer.close(20.0)
    assert (counts.written, counts.dropped, counts.trouble) == (10, 0, None)
    assert [name for name, _ in stored(path)] == [f"c{number}" for number in range(10)]


def test_the_process_minds_no_signal_and_ends_with_the_gateway(tmp_path: Path) -> None:
    """A signal to the whole group leaves it writing; it is gone when the gateway lets go."""
    path = tmp_path / "c.db"
    with shelf(ShelfElsewhere, path) as one:
        one.write([call(0)])
        assert isinstance(one, ShelfElsewhere)
        process = one._process
        assert process
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(process.pid, number)
        one.write([call(1)])
        assert one._process is process
        assert one._connection
        one._connection.close()  # as when the gateway is killed
        assert process.wait(20) == 0
    assert len(stored(path)) == 2
