"""Hints: a write to a watched database wakes, nothing else does, and nothing that is missing breaks it."""

import asyncio
import sqlite3
import threading
import time

import pytest

from flywheel.watch.hints import Hints


class Bell:
    """Counts the rings, from any thread."""

    def __init__(self):
        self.rung = threading.Event()
        self.reasons = []

    def __call__(self, reason):
        """Ring."""
        self.reasons.append(reason)
        self.rung.set()

    def rings(self, seconds=5.0):
        """Wait for a ring and forget it."""
        found = self.rung.wait(seconds)
        self.settle()
        return found

    def settle(self):
        """Let late events of what happened before go by."""
        time.sleep(0.2)
        self.rung.clear()


@pytest.fixture
def watching():
    made = []

    def start(*paths):
        bell = Bell()
        hints = Hints(paths, bell)
        hints.start()
        made.append(hints)
        return bell

    yield start
    for hints in made:
        hints.stop()


def test_a_commit_wakes(tmp_path, watching):
    """A commit in WAL mode and one in rollback mode both wake."""
    path = tmp_path / "agent.db"
    writer = sqlite3.connect(path, isolation_level=None)
    bell = watching(path)
    writer.execute("CREATE TABLE t (x)")
    assert bell.rings()
    writer.execute("PRAGMA journal_mode = WAL")
    bell.rings()
    writer.execute("INSERT INTO t VALUES (1)")
    assert bell.rings()
    writer.close()


def test_other_files_and_reading_do_not_wake(tmp_path, watching):
    """Neighbours, the shared-memory file and our own reading leave the daemon asleep."""
    path = tmp_path / "agent.db"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE t (x)")
    bell = watching(path)
    bell.settle()
    (tmp_path / "other.db").write_text("x")
    (tmp_path / "agent.db-shm").touch()
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    reader.execute("SELECT * FROM t").fetchall()
    reader.close()
    assert not bell.rings(0.5)
    writer.close()


def test_a_folder_that_appears_later_is_watched_then(tmp_path, watching):
    """A database whose folders are missing is noticed when they come, and its writes after that."""
    path = tmp_path / "a" / "b" / "agent.db"
    bell = watching(path)
    path.parent.mkdir(parents=True)
    assert bell.rings()
    path.write_text("x")
    assert bell.rings()


def test_a_folder_that_is_replaced_is_watched_again(tmp_path, watching):
    """When a folder goes and comes again its databases still wake."""
    path = tmp_path / "a" / "agent.db"
    path.parent.mkdir()
    path.write_text("x")
    bell = watching(path)
    path.unlink()
    path.parent.rmdir()
    assert bell.rings()
    path.parent.mkdir()
    assert bell.rings()
    path.write_text("x")
    assert bell.rings()


def test_a_folder_is_watched_with_everything_in_it(tmp_path, watching):
    """A file that is made or grows anywhere below a watched folder wakes; its neighbours do not."""
    runs = tmp_path / "runs"
    runs.mkdir()
    bell = watching(runs, runs / "capture.db")
    (runs / "run-a.jsonl").write_text("{}\n")
    assert bell.rings()
    (runs / "deep").mkdir()
    assert bell.rings()
    with (runs / "deep" / "run-b.jsonl").open("a") as file:
        file.write("{}\n")
    assert bell.rings()
    (tmp_path / "other").write_text("x")
    (runs / "agent.db-shm").touch()
    (runs / "agent.db-shm").write_text("x")
    assert not bell.rings(0.5)


def test_a_folder_that_comes_goes_and_comes_again_is_followed(tmp_path, watching):
    """Files in a folder wake when it appears later, and again after it was replaced."""
    runs = tmp_path / "later" / "runs"
    bell = watching(runs)
    for _ in range(2):
        runs.mkdir(parents=True, exist_ok=True)
        assert bell.rings()
        (runs / "deep").mkdir()
        assert bell.rings()
        (runs / "deep" / "run-a.jsonl").write_text("x")
        assert bell.rings()
        (runs / "deep" / "run-a.jsonl").unlink()
        (runs / "deep").rmdir()
        runs.rmdir()
        assert bell.rings()


def test_stopping_ends_everything(tmp_path):
    """After stop nothing rings, and stopping twice or without a start is fine."""
    bell = Bell()
    hints = Hints([tmp_path / "agent.db"], bell)
    hints.stop()
    hints.start()
    hints.stop()
    hints.stop()
    (tmp_path / "agent.db").write_text("x")
    assert not bell.rings(0.3)
    assert [thread.name for thread in threading.enumerate() if "inotify" in thread.name.lower()] == []


@pytest.mark.asyncio
async def test_it_wakes_a_loop(tmp_path):
    """Through `call_soon_threadsafe` a hint reaches a sleeping event loop."""
    loop, woken = asyncio.get_running_loop(), asyncio.Event()
    hints = Hints([tmp_path / "agent.db"], lambda _: loop.call_soon_threadsafe(woken.set))
    hints.start()
    (tmp_path / "agent.db").write_text("x")
    await asyncio.wait_for(woken.wait(), 5)
    hints.stop()
    assert woken.is_set()
