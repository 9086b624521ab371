"""Databases in folders we may not write: read as they lie or through a private copy, and never silently stale."""

import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from flywheel.sources import stills
from flywheel.sources.connections import WatchedDatabase
from flywheel.sources.problems import SourceProblemError

NOBODY = 65534
PROGRAM = """
import os, sys
from pathlib import Path
from flywheel.sources.connections import WatchedDatabase
from flywheel.sources.problems import SourceProblemError
if os.geteuid() == 0:
    os.setgid({nobody}); os.setuid({nobody})
watched = WatchedDatabase(Path("agent.db"))
def look():
    try:
        with watched.reading() as connection:
            found = connection.execute("SELECT count(*) FROM t").fetchone()[0], watched.version()[0]
        print(*found, flush=True)  # only now: whoever reads this changes the file at once
    except SourceProblemError as problem:
        print(problem, flush=True)
for line in sys.stdin:
    look()
watched.close()
"""


def commit(path: Path, rows: int, *, close: bool = True):
    """Write rows in WAL mode; without closing, the journal stays."""
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE IF NOT EXISTS t (x)")
    for number in range(rows):
        writer.execute("INSERT INTO t VALUES (?)", (number,))
    if close:
        writer.close()
    return writer


class Reader:
    """A reader in another process that may not write in the folder."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        cache.mkdir()
        cache.chmod(0o777)
        self.close_folder()
        self.child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM).format(nobody=NOBODY)],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip

    def look(self) -> str:
        """Have it look once."""
        self.close_folder()
        self.child.stdin.write("look\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().strip()

    def close_folder(self) -> None:
        """Take the right to write away; what has it no more is not touched."""
        for path, mode in [*((file, 0o444) for file in self.folder.iterdir()), (self.folder, 0o555)]:
            if path.stat().st_mode & 0o777 != mode:
                path.chmod(mode)

    def end(self) -> None:
        """Let it go, as often as asked."""
        self.folder.chmod(0o755)
        if self.child.returncode is None:
            self.child.communicate(timeout=10)


@pytest.fixture
def closed(tmp_path):
    for folder in (tmp_path, *(one for one in tmp_path.parents if one.name.startswith(("pytest-", "popen-")))):
        folder.chmod(0o755)
    made = []

    def start(folder):
        reader = Reader(folder, tmp_path / "cache")
        made.append(reader)
        return reader

    yield start
    for reader in made:
        reader.end()


def test_without_a_journal_it_is_read_as_it_lies_and_followed(tmp_path, closed):
    """A quiet WAL database in a closed folder is read; when it changes the next look opens it anew."""
    folder = tmp_path / "agent"
    folder.mkdir()
    commit(folder / "agent.db", 3)
    reader = closed(folder)
    assert reader.look() == "3 1"
    assert reader.look() == "3 1"
    folder.chmod(0o755)
    (folder / "agent.db").chmod(0o644)
    commit(folder / "agent.db", 2)
    assert reader.look() == "5 2"
    assert not (tmp_path / "cache" / "flywheel").exists()


def test_with_a_journal_a_private_copy_is_read_and_removed(tmp_path, closed):
    """What stands only in a left-behind journal is seen, and the copy is gone when the reader lets go."""
    source, folder = tmp_path / "source", tmp_path / "agent"
    source.mkdir()
    folder.mkdir()
    writer = commit(source / "agent.db", 4, close=False)
    for name in ("agent.db", "agent.db-wal"):
        shutil.copy(source / name, folder / name)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    reader = closed(folder)
    assert reader.look() == "4 1"
    (copy,) = (tmp_path / "cache" / "flywheel" / "copies").iterdir()
    assert copy.stat().st_mode & 0o077 == 0
    writer.execute("INSERT INTO t VALUES (9)")
    folder.chmod(0o755)
    shutil.copy(source / "agent.db-wal", folder / "new")
    (folder / "new").replace(folder / "agent.db-wal")
    assert reader.look() == "5 2"
    reader.end()
    assert list((tmp_path / "cache" / "flywheel" / "copies").iterdir()) == []
    assert before["agent.db"] == (folder / "agent.db").read_bytes()
    writer.close()


def test_with_a_live_writer_it_is_read_where_it_is(tmp_path, closed):
    """While the agent has it open the shared-memory file is there, and every commit is seen at once."""
    folder = tmp_path / "agent"
    folder.mkdir()
    writer = commit(folder / "agent.db", 1, close=False)
    reader = closed(folder)
    assert reader.look() == "1 1"
    writer.execute("INSERT INTO t VALUES (2)")
    assert reader.look() == "2 1"
    folder.chmod(0o755)
    writer.close()


def test_a_copy_that_would_be_too_large_is_refused_by_name(tmp_path, monkeypatch):
    """No disk is filled behind anybody's back."""
    writer = commit(tmp_path / "agent.db", 1, close=False)
    monkeypatch.setattr(stills, "LARGEST_COPY", 10)
    with pytest.raises(SourceProblemError, match="too large to be copied"):
        stills.Still(tmp_path / "agent.db").readable()
    writer.close()


def test_copies_of_killed_processes_are_removed(tmp_path, monkeypatch):
    """What a killed reader left is removed before the next copy is made; living ones are left alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    copies = tmp_path / "cache" / "flywheel" / "copies"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for name in (f"copy-{dead.pid}-x", f"copy-{os.getppid()}-x", "copy-odd"):
        (copies / name).mkdir(parents=True)
    writer = commit(tmp_path / "agent.db", 1, close=False)
    still = stills.Still(tmp_path / "agent.db")
    still.readable()
    assert [path.name.partition("-")[2].split("-")[0] for path in sorted(copies.iterdir())] == sorted(
        [str(os.getppid()), str(os.getpid())]
    )
    still.close()
    writer.close()


@pytest.mark.parametrize("what", ["pipe", "device", "loop", "folder", "dangling"])
def test_what_is_no_file_is_named_and_holds_nobody(tmp_path, what):
    """A pipe, a device, a loop of links or a folder in the place of a database is a problem in words."""
    path = tmp_path / "agent.db"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        path.symlink_to("/dev/zero")
    elif what == "loop":
        path.symlink_to(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nothing")
    words = {"loop": "cannot be reached", "dangling": "is not there"}.get(what, "is not a file")
    with pytest.raises(SourceProblemError, match=words):
        WatchedDatabase(path).version()
