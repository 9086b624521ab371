"""Backups: whole or not there, whoever writes meanwhile and whenever the power goes."""

import os
import shutil
import sqlite3
import threading
from contextlib import closing

import pytest
from fixtures.homes import Home, backups_are_whole, killed_at_each, opened, put_back

from flywheel.core.errors import ConflictError, CorruptError, MisuseError, UnavailableError
from flywheel.core.steps import Steps
from flywheel.keep.backups import back_up
from flywheel.keep.shelves import FolderShelf, TarShelf, shelf_at
from flywheel.store.jobs import job_by_id
from flywheel.store.ledger import events
from flywheel.store.purges import mark_purged


def test_what_was_kept_comes_back(home, place, tmp_path):
    """Store, datasets, suites, adapters, reports, fused bases and loose files come back to the byte."""
    snapshot = home.back_up(place)
    assert snapshot.damaged == ()
    done = put_back(place, tmp_path / "new")
    assert done.files == len(snapshot.files)
    new = opened(tmp_path / "new")
    assert new.whole() == ()
    assert new.files() == home.files()
    assert (new.path / "server.token").stat().st_mode & 0o777 == 0o600
    with home.store.read() as before, new.store.read() as after:
        assert events(before) == events(after)
    new.close()


def test_one_file_holds_one_backup(home, tmp_path):
    """A tar file comes back like a folder, and is never written over."""
    file = tmp_path / "home.tar"
    home.back_up(TarShelf(file))
    assert backups_are_whole(file) == ()
    put_back(file, tmp_path / "new")
    new = opened(tmp_path / "new")
    assert new.files() == home.files()
    new.close()
    with pytest.raises(MisuseError, match="there already"):
        home.back_up(TarShelf(file))


def test_nobody_else_may_read_a_backup(home, place, tmp_path):
    """It holds the agent's conversations: folder and file are the owner's alone."""
    home.back_up(place)
    home.back_up(TarShelf(tmp_path / "home.tar"))
    assert place.stat().st_mode & 0o077 == 0
    assert (tmp_path / "home.tar").stat().st_mode & 0o077 == 0
    assert {path.stat().st_mode & 0o077 for path in (place / "parts").rglob("*") if path.is_file()} == {0}


def test_the_next_backup_costs_what_is_new(home, place):
    """What has not changed is not written again: an unchanged home adds a description and nothing else."""
    home.back_up(place)
    parts = set((place / "parts").rglob("*"))
    home.back_up(place)
    assert set((place / "parts").rglob("*")) == parts
    assert len(list((place / "backups").glob("*.json"))) == 2


def test_only_the_newest_are_kept(home, place, tmp_path):
    """Older backups go, with the parts that nothing else needs; the rest is whole."""
    for number in range(2, 5):
        home.furnish(number)
        home.back_up(place)
    shelf = FolderShelf(place)
    before = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    with shelf.writing():
        gone = shelf.tidy(1)
    assert len(gone) == 2
    assert len(shelf.ids()) == 1
    assert sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) < before
    assert backups_are_whole(place) == ()
    put_back(place, tmp_path / "new")


def test_the_daemon_goes_on_meanwhile(home, place, tmp_path):
    """While another process's worth of events, datasets and adapters is written, each backup is of one moment."""
    stop, made = threading.Event(), []

    def write():
        writer = Home(home.path)
        number = 2
        while not stop.is_set() and number < 60:
            made.append(writer.furnish(number))
            number += 1
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    while len(made) < 2:
        stop.wait(0.01)
    snapshots = [home.back_up(place) for _ in range(4)]
    stop.set()
    thread.join()
    assert [one.damaged for one in snapshots] == [()] * 4
    assert snapshots[0].events <= snapshots[-1].events
    for number, snapshot in enumerate(snapshots[::3]):
        put_back(place, tmp_path / f"new{number}", name=snapshot.id)
        new = opened(tmp_path / f"new{number}")
        assert new.whole() == ()
        new.close()


def test_what_is_forgotten_meanwhile_is_in_no_backup(home, place):
    """A dataset that a person has deleted while its backup is made lets the backup begin again without it."""
    digest = next((home.path / "datasets").iterdir()).name

    def forget(boundary):
        if boundary.startswith("outside: before part") and (home.path / "datasets" / digest).exists():
            with home.store.write() as session:
                mark_purged(session, [digest], [], home.clock.now(), "r")
            shutil.rmtree(home.path / "datasets" / digest)

    snapshot = home.back_up(place, Steps(forget))
    assert snapshot.damaged == ()
    assert not any(digest in file.path for file in snapshot.files)


def test_what_is_not_whole_is_said(home, place):
    """A missing or changed file of the home is named; the rest is kept."""
    (home.path / "reports" / "report-1.html").unlink()
    adapter = next((home.path / "adapters").rglob("adapter_model.safetensors"))
    adapter.write_bytes(b"other")
    snapshot = home.back_up(place)
    assert snapshot.damaged == (adapter.parent.relative_to(home.path).as_posix(), "reports/report-1.html")


def test_a_damaged_store_is_not_kept(home, place):
    """A store that is broken inside replaces no sound backup."""
    home.back_up(place)
    path = home.store_path
    home.close()
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 6] = b"\xff" * (4096 * 3)
    path.write_bytes(bytes(data))
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    with pytest.raises((CorruptError, sqlite3.DatabaseError)):
        home.back_up(place)
    assert len(FolderShelf(place).ids()) == 1
    assert backups_are_whole(place) == ()


def test_a_damaged_part_is_found_and_written_again(home, place):
    """Verifying names it with the backups that need it; the next backup mends it, as far as the home still has it."""
    home.back_up(place)
    part = max((place / "parts").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    (finding,) = backups_are_whole(place)
    assert "flywheel.db" in finding.fault
    home.back_up(place)
    assert backups_are_whole(place) == ()


def test_two_backups_at_once_do_not_mix(home, place):
    """A second one is told to wait."""
    shelf = FolderShelf(place)
    with shelf.writing(), pytest.raises(ConflictError, match="another backup"):
        home.back_up(place)


def test_a_folder_of_something_else_is_left_alone(home, tmp_path):
    """Only an empty folder or one with backups is written to."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    with pytest.raises(MisuseError, match="no backup"):
        home.back_up(tmp_path / "photos")
    with pytest.raises(MisuseError, match="no backup at"), shelf_at(tmp_path / "photos"):
        pass


def test_work_under_way_is_kept_as_its_orders(home, place, tmp_path):
    """A run that goes on begins anew after a restore: its orders are kept, its half-written files are not."""
    run = home.run(7, next((home.path / "datasets").iterdir()).name, ended=False)
    kept = {file.path for file in home.back_up(place).files if run in file.path}
    assert kept == {f"runs/{run}/spec.json"}
    put_back(place, tmp_path / "elsewhere" / "new")
    new = opened(tmp_path / "elsewhere" / "new")
    with new.store.read() as session:
        job = job_by_id(session, f"train-{run}")
    assert job is not None
    assert job.folder == str(new.path / "runs" / run)
    assert job.spec["argv"][1] == str(new.path / "runs" / run / "spec.json")
    new.close()


def test_killed_anywhere_the_backups_there_are_are_whole(home, place, tmp_path):
    """At every boundary: what is listed is whole, and the next backup succeeds and leaves no remains."""
    home.back_up(place)
    home.furnish(2)
    home.close()

    def work(steps):
        made = Home(home.path)
        shelf = FolderShelf(place, steps)
        with shelf.writing():
            made.clock.advance(60)
            back_up(made.site, made.store, shelf, made.clock)
            shelf.tidy(1)
        made.close()

    def check():
        assert FolderShelf(place).ids()
        assert backups_are_whole(place) == ()

    assert killed_at_each(work, check, tmp_path / "seen") >= 10
    assert len(FolderShelf(place).ids()) == 1
    assert {path.name for path in place.iterdir()} == {"backups", "parts", "lock"}
    needed = FolderShelf(place).snapshot(FolderShelf(place).ids()[0]).parts
    assert {path.name for path in (place / "parts").glob("*/*")} == needed


def test_a_tar_that_was_killed_has_no_name(home, tmp_path):
    """Until it is whole and read back the file is not there."""
    file = tmp_path / "home.tar"
    home.close()

    def work(steps):
        made = Home(home.path)
        made.back_up(TarShelf(file, steps))
        made.close()

    assert killed_at_each(work, lambda: file.exists() and pytest.fail("it is there"), tmp_path / "seen") > 3
    assert backups_are_whole(file) == ()


def test_what_cannot_be_read_is_said_by_name(home, place):
    """Another user's backup, without the right to read, does not pass over files silently."""
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    adapter = next((home.path / "adapters").rglob("adapter_model.safetensors"))
    adapter.chmod(0)
    with pytest.raises(UnavailableError, match=r"adapter_model\.safetensors"):
        home.back_up(place)


def test_what_a_cold_start_made_and_what_was_paid_come_back(home, place, tmp_path):
    """The shelf and the teachers' book are kept while they are open, logs and all; damage is told."""
    for name in ("bootstrap.db", "teachers.db"):
        with closing(sqlite3.connect(home.path / name, isolation_level=None)) as made:
            made.execute("PRAGMA journal_mode = WAL")
            made.execute("CREATE TABLE kept (what TEXT)")
            made.execute("INSERT INTO kept VALUES (?)", (name,))
            home.back_up(place)
    put_back(place, tmp_path / "new")
    for name in ("bootstrap.db", "teachers.db"):
        with closing(sqlite3.connect(tmp_path / "new" / name)) as back:
            assert back.execute("SELECT what FROM kept").fetchall() == [(name,)]
        (home.path / name).write_bytes(b"SQLite format 3\0" + b"\xff" * 8192)
    assert {(one.place, "restore it" in one.mend) for one in home.whole()} == {
        ("bootstrap.db", True), ("teachers.db", True)}  # fmt: skip
