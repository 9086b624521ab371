"""The capture: every call whole and once, and no disk trouble that an agent would notice."""

import asyncio
import json
import shutil
import sqlite3
import time
import tracemalloc
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from gateway_house import House

from flywheel.core.clocks import ManualClock, SystemClock
from flywheel.gateway.calls import Call
from flywheel.gateway.captures import Bounds, CaptureWriter
from flywheel.gateway.shelves import OwnShelf

BASE, OLD = "tiny-base", "tool-calling@1"
EARLIER = """
CREATE TABLE calls (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, at TEXT NOT NULL, alias TEXT,
  model TEXT, arm TEXT, routing_version INTEGER NOT NULL, session TEXT NOT NULL, session_source TEXT NOT NULL,
  task TEXT, status INTEGER, streamed INTEGER NOT NULL, complete INTEGER NOT NULL, fallback INTEGER NOT NULL,
  request BLOB NOT NULL, response BLOB NOT NULL, prompt_tokens INTEGER, completion_tokens INTEGER,
  latency_ms REAL NOT NULL, first_token_ms REAL);
CREATE INDEX calls_at ON calls (at);
INSERT INTO calls VALUES (1, 'c0', '2026-01-01T00:00:00.000000+00:00', 'a', 'm', 'active', 1, 's', 'prompt', NULL, 200,
  0, 1, 0, x'71', x'72', 1, 2, 3.0, 1.0);
"""


def call(number: int, size: int = 10) -> Call:
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    return Call(
        f"c{number}", at, "a", "m", "active", 1, "s", "prompt", None, 200, False, True, False,
        b"q" * size, b"r" * size, 1, 2, 3.0, 1.0,
    )  # fmt: skip


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def stored(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [row[0] for row in connection.execute("SELECT id FROM calls ORDER BY rowid")]
    finally:
        connection.close()


@pytest.mark.asyncio
async def test_a_row_tells_the_whole_call(house: House) -> None:
    """Every column is what happened; the request is the client's own bytes."""
    await house.start()
    await house.apply(house.routing())
    headers = {"x-session-id": "s1", "x-task-id": "t1"}
    response, body = await house.chat(headers=headers)
    (row,) = await house.rows(1)
    assert row["id"] == response.headers["x-flywheel-call"]
    assert abs((datetime.now(UTC) - datetime.fromisoformat(row["at"])).total_seconds()) < 5
    assert row["at"].endswith("+00:00")
    assert (row["alias"], row["model"], row["arm"], row["routing_version"]) == ("tool-calling", OLD, "active", 1)
    assert (row["session"], row["session_source"], row["task"]) == ("s1", "x-session-id", "t1")
    assert (row["status"], row["streamed"], row["complete"], row["fallback"]) == (200, 0, 1, 0)
    assert json.loads(row["request"])["model"] == "tool-calling"
    assert row["response"] == body
    assert (row["prompt_tokens"], row["completion_tokens"]) == (7, 4)
    assert 0 < row["first_token_ms"] <= row["latency_ms"]
    assert (house.home / "capture.db").stat().st_mode & 0o777 == 0o600
    assert (house.home / "capture.db-wal").stat().st_mode & 0o777 == 0o600


@pytest.mark.asyncio
async def test_plain_calls_are_captured_and_lists_are_not(house: House) -> None:
    """A call without an alias is a row without alias and arm; other endpoints leave none."""
    await house.start()
    await house.client.get("/v1/models")
    await house.chat(BASE, messages=[{"role": "user", "content": "\ud800 lone"}])
    async with house.client.post("/v1/completions", json={"model": "\ud800", "prompt": "x"}) as response:
        assert response.status == 404
    first, second = await house.rows(2)
    assert (first["alias"], first["arm"], first["model"], first["session_source"]) == (None, None, BASE, "conversation")
    assert (second["model"], second["session_source"]) == ("?", "prompt")


@pytest.mark.asyncio
async def test_capture_can_be_off(house: House) -> None:
    """Without capture no file is made and requests are served."""
    await house.start(capture=False)
    assert (await house.chat(BASE))[0].status == 200
    assert not (house.home / "capture.db").exists()


@pytest.mark.asyncio
async def test_disk_trouble_is_not_the_agents(house: House) -> None:
    """While the capture cannot be written requests are served and the trouble is shown; then the rows appear."""
    (house.home / "capture.db").mkdir()
    await house.start()
    for _ in range(5):
        assert (await house.chat(BASE))[0].status == 200
    await house.until(lambda: house.station.capture and house.station.capture.counts().trouble)
    async with house.client.get("/flywheel/routing") as response:
        capture = (await response.json())["capture"]
    assert capture["waiting"] == 5
    assert "IsADirectoryError" in capture["trouble"]
    (house.home / "capture.db").rmdir()
    assert len(await house.rows(5)) == 5


def test_a_locked_file_delays_and_loses_nothing(tmp_path: Path) -> None:
    """Rows wait for the lock and come in order."""
    writer = CaptureWriter(tmp_path / "c.db", SystemClock())
    writer.start()
    writer.offer(call(0))
    until(lambda: writer.counts().written == 1)
    lock = sqlite3.connect(tmp_path / "c.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    for number in range(1, 4):
        began = time.monotonic()
        assert writer.offer(call(number))
        assert time.monotonic() - began < 0.05
    until(lambda: writer.counts().trouble)
    lock.execute("ROLLBACK")
    lock.close()
    until(lambda: writer.counts().written == 4)
    assert writer.close().dropped == 0
    assert stored(tmp_path / "c.db") == ["c0", "c1", "c2", "c3"]


def test_a_full_disk_is_survived(tmp_path: Path) -> None:
    """A database that may not grow keeps its rows whole; when there is room again the waiting rows follow."""
    writer = CaptureWriter(tmp_path / "c.db", SystemClock(), Bounds(bytes=400_000))
    writer.start()
    writer.offer(call(0))
    until(lambda: writer.counts().written == 1)
    assert isinstance(writer._shelf, OwnShelf)
    connection = writer._shelf._database._connection
    assert connection
    connection.execute("PRAGMA max_page_count = 20")
    assert writer.offer(call(1, 100_000))
    until(lambda: writer.counts().trouble)
    assert stored(tmp_path / "c.db") == ["c0"]
    until(lambda: writer.counts().written == 2)  # the file is opened anew, and the limit was the connection's
    assert writer.close().dropped == 0


def test_what_does_not_fit_is_dropped_and_counted(tmp_path: Path) -> None:
    """The queue is bounded in calls and in bytes; one call of any size still fits."""
    clock = ManualClock()
    few = CaptureWriter(tmp_path / "few.db", clock, Bounds(calls=3))
    assert [few.offer(call(number)) for number in range(5)] == [True, True, True, False, False]
    small = CaptureWriter(tmp_path / "small.db", clock, Bounds(bytes=10_000))
    assert [small.offer(call(number, 20_000)) for number in range(2)] == [True, False]
    for writer, kept, dropped in ((few, 3, 2), (small, 1, 1)):
        writer.start()
        counts = writer.close()
        assert (counts.written, counts.dropped) == (kept, dropped)


def test_a_deleted_file_is_made_again(tmp_path: Path) -> None:
    """When the home is deleted under the writer, later rows go to a new file."""
    path = tmp_path / "home" / "c.db"
    writer = CaptureWriter(path, SystemClock())
    writer.start()
    writer.offer(call(0))
    until(lambda: writer.counts().written == 1)
    shutil.rmtree(path.parent)
    writer.offer(call(1))
    until(lambda: writer.counts().written == 2)
    writer.close()
    assert stored(path) == ["c1"]


def test_a_row_that_cannot_be_stored_does_not_block_the_others(tmp_path: Path) -> None:
    """A batch that no disk would take is dropped and counted; the next is written."""
    writer = CaptureWriter(tmp_path / "c.db", SystemClock())
    writer.offer(call(0)._replace(prompt_tokens=2**70))
    writer.start()
    until(lambda: writer.counts().dropped == 1)
    writer.offer(call(1))
    assert writer.close().written == 1


def test_a_batch_that_was_stored_after_all_does_not_block_the_others(tmp_path: Path) -> None:
    """A commit may fail and have happened: the same calls come again, are stored once, and stop nobody."""
    path = tmp_path / "c.db"
    for batch in ((0, 1), (1, 2)):
        writer = CaptureWriter(path, SystemClock())
        for number in batch:
            writer.offer(call(number))
        writer.start()
        assert writer.close().dropped == 0
    assert stored(path) == ["c0", "c1", "c2"]


def test_what_cannot_be_written_by_the_end_is_counted(tmp_path: Path) -> None:
    """Closing is bounded, and what is left is a counted loss."""
    path = tmp_path / "c.db"
    path.mkdir()
    writer = CaptureWriter(path, SystemClock())
    writer.start()
    writer.offer(call(0))
    counts = writer.close(2.0)
    assert (counts.written, counts.dropped, counts.waiting) == (0, 1, 0)


def test_the_file_stays_within_its_bound(tmp_path: Path) -> None:
    """A full file loses its oldest calls, and their rowids are never used again."""
    path, clock = tmp_path / "c.db", ManualClock(datetime.now(UTC))
    writer = CaptureWriter(path, clock, Bounds(file_bytes=1))
    writer.offer(call(0))
    writer.start()
    until(lambda: writer.counts().forgotten == 1)
    assert stored(path) == []
    writer.offer(call(1))
    writer.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT rowid, id FROM calls").fetchall() == [(2, "c1")]
    connection.close()


def test_calls_go_when_they_are_too_old(tmp_path: Path) -> None:
    """Past its age a call is forgotten, also while no new one comes; younger ones stay."""
    path, clock = tmp_path / "c.db", ManualClock(datetime.now(UTC))
    writer = CaptureWriter(path, clock, Bounds(age=timedelta(days=30)))
    old = clock.now() - timedelta(days=29, hours=23)
    for number in range(450):
        writer.offer(call(number)._replace(at=old.isoformat(timespec="microseconds")))
    writer.offer(call(450))
    writer.start()
    until(lambda: writer.counts().written == 451)
    assert writer.counts().forgotten == 0
    clock.advance(2 * 3600)
    until(lambda: writer.counts().forgotten == 450)
    writer.close()
    assert stored(path) == ["c450"]


def test_a_large_file_is_brought_below_its_bound_and_keeps_the_newest(tmp_path: Path) -> None:
    """What is forgotten is the oldest, and not more than a tenth of the bound besides."""
    path, clock = tmp_path / "c.db", ManualClock(datetime.now(UTC))
    bound = 4_000_000
    writer = CaptureWriter(path, clock, Bounds(file_bytes=bound))
    writer.start()
    for number in range(1000):
        writer.offer(call(number, 4000))
    until(lambda: writer.counts().written == 1000)
    clock.advance(60)
    until(lambda: writer.counts().forgotten)
    clock.advance(60)
    until(lambda: len(stored(path)) * 8192 <= bound)
    writer.close()
    left = stored(path)
    assert left == [f"c{number}" for number in range(1000 - len(left), 1000)]
    assert len(left) * 8000 >= 0.7 * bound
    assert writer.counts().forgotten + len(left) == 1000


def test_a_file_of_an_earlier_version_is_taken_on(tmp_path: Path) -> None:
    """Columns are added to the file that is there; its calls keep their numbers, and new ones follow."""
    path = tmp_path / "c.db"
    connection = sqlite3.connect(path)
    connection.executescript(EARLIER)
    connection.close()
    writer = CaptureWriter(path, SystemClock(), Bounds(age=timedelta(days=36500)))
    writer.start()
    writer.offer(call(1)._replace(arm="shadow", mirrors="c0"))
    assert writer.close().written == 1
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT seq, id, mirrors, quarantine FROM calls ORDER BY seq").fetchall()
    connection.close()
    assert rows == [(1, "c0", None, None), (2, "c1", "c0", None)]


@pytest.mark.asyncio
async def test_an_alias_may_keep_nothing(house: House) -> None:
    """The calls of one alias leave no row, answered, streamed or failed, and those of others do."""
    await house.start()
    routing = house.routing()
    quiet = routing.aliases["tool-calling"].model_copy(update={"capture": False})
    await house.apply(routing.model_copy(update={"aliases": {**routing.aliases, "quiet": quiet}}))
    secret = [{"role": "user", "content": "nobody keeps this"}]
    for fields in ({}, {"stream": True}):
        response, _ = await house.chat("quiet", messages=secret, **fields)
        assert response.status == 200
    assert (await house.chat())[0].status == 200
    assert [row["alias"] for row in await house.rows(1)] == ["tool-calling"]
    await asyncio.sleep(0.3)
    assert len(await house.rows(1)) == 1
    assert all(b"nobody keeps" not in path.read_bytes() for path in house.home.iterdir())


def test_what_is_lost_is_logged(tmp_path: Path) -> None:
    """The first loss is a line of the log at once, later ones are summed up; at the end none is left untold."""
    clock = ManualClock(datetime.now(UTC))
    path = tmp_path / "c.db"
    path.mkdir()
    writer = CaptureWriter(path, clock, Bounds(calls=1))
    with structlog.testing.capture_logs() as logs:
        writer.start()
        for number in range(3):
            writer.offer(call(number))
        until(lambda: lost(logs) == 2)
        writer.offer(call(3))
        counts = writer.close(2.0)
    assert lost(logs) == counts.dropped == 4
    assert [line["reason"] is not None for line in logs if line["event"] == "gateway.calls_dropped"][-1:] == [True]


def lost(logs: list[MutableMapping[str, Any]]) -> int:
    return sum(line["calls"] for line in logs if line["event"] == "gateway.calls_dropped")


def test_memory_is_flat(tmp_path: Path) -> None:
    """Thousands of calls leave nothing behind in memory."""
    writer = CaptureWriter(tmp_path / "c.db", SystemClock(), Bounds(calls=5000))
    writer.start()
    after = []
    tracemalloc.start()
    for part in range(4):
        for number in range(1000):
            writer.offer(call(part * 1000 + number))
        until(lambda part=part: writer.counts().written == (part + 1) * 1000, 60.0)  # type: ignore[misc]
        after.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert writer.close().written == 4000
    assert after[-1] - after[0] < 100_000
