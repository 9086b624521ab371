"""Restoring: proven before anything moves, never over what is there, and ended after a kill by the same command."""

import json
import os

import pytest
from fixtures.homes import Home, killed_at_each, opened, put_back

from flywheel.core.clocks import SystemClock
from flywheel.core.errors import ConflictError, CorruptError, MisuseError, SettingsError
from flywheel.core.events import Event
from flywheel.core.ids import bytes_hash
from flywheel.core.steps import Steps
from flywheel.daemon.houses import ground
from flywheel.daemon.settings import Settings
from flywheel.keep.restorations import restore_some
from flywheel.keep.shelves import FolderShelf, shelf_at
from flywheel.keep.snapshots import Kept
from flywheel.store.jobs import job_by_id
from flywheel.store.keepings import old_works
from flywheel.store.ledger import append, last_event
from flywheel.store.runs import adapters


def test_what_is_there_is_not_written_over(home, place):
    """A home that holds anything refuses; nothing in it changes."""
    home.back_up(place)
    before = home.files()
    with pytest.raises(MisuseError, match="not empty"):
        put_back(place, home.path)
    assert home.files() == before
    assert not (home.path / ".restoring").exists()


def test_by_force_what_is_there_moves_aside_whole(home, place):
    """The home is the backup's; what was there, its store with its log, lies in one folder and can be opened."""
    home.back_up(place)
    home.furnish(2)
    done = put_back(place, home.path, force=True)
    home.close()
    new = opened(home.path)
    assert new.whole() == ()
    with new.store.read() as session:
        assert [one.number for one in adapters(session)] == [1]
    new.close()
    aside = Home(type(home.path)(done.aside))
    with aside.store.read() as session:
        assert [one.number for one in adapters(session)] == [1, 2]
    aside.close()
    again = put_back(place, home.path, force=True)
    assert again.aside != done.aside


def test_the_log_of_another_store_is_never_read_into_the_restored_one(home, place):
    """A `-wal` beside the store of before moves with it."""
    home.back_up(place)
    with home.store.write() as session:
        append(session, Event(kind="daemon.started", at=home.clock.now()))
    assert (home.path / "flywheel.db-wal").stat().st_size
    put_back(place, home.path, force=True)
    assert not (home.path / "flywheel.db-wal").exists()
    new = opened(home.path)
    with new.store.read() as session:
        assert last_event(session, kinds=["daemon.started"]) is None
    new.close()


def test_a_model_server_of_another_user_can_read_what_came_back(home, place, tmp_path):
    """Whatever the umask of who restores: folders and adapters are as they were published."""
    home.back_up(place)
    before = os.umask(0o077)
    try:
        put_back(place, tmp_path / "new")
    finally:
        os.umask(before)
    (model,) = (tmp_path / "new" / "adapters").rglob("adapter_model.safetensors")
    assert model.stat().st_mode & 0o044 == 0o044
    assert {path.stat().st_mode & 0o055 for path in list(model.parents)[:3]} == {0o055}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_restores_belongs_to_the_homes_owner(home, place, tmp_path):
    """The daemon runs as somebody else and has to write what came back."""
    home.back_up(place)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "daemon.lock").touch()
    os.chown(tmp_path / "new", 12345, 12345)
    put_back(place, tmp_path / "new")
    owners = {path.stat().st_uid for path in (tmp_path / "new").rglob("*")}
    assert owners == {12345}


@pytest.mark.parametrize("name", ["other", 'a "new" höme'])
def test_a_home_may_move(home, place, tmp_path, name):
    """Places that the store speaks of lie in the new home, whatever it is called."""
    home.back_up(place)
    put_back(place, tmp_path / name)
    new = opened(tmp_path / name)
    with new.store.read() as session:
        (adapter,) = adapters(session)
        (work,) = old_works(session)
        job = job_by_id(session, work.id)
    assert adapter.path.startswith(str(tmp_path / name))
    assert work.folder.startswith(str(tmp_path / name))
    assert job is not None
    assert job.spec["argv"][1].startswith(str(tmp_path / name))
    assert new.whole() == ()
    new.close()


def test_a_store_outside_the_home_goes_back_to_its_place(tmp_path, place):
    """It is put where the settings want it; one that is there moves aside beside it."""
    made = Home(tmp_path / "home", tmp_path / "stores" / "my.db")
    made.furnish(1)
    made.back_up(place)
    made.close()
    with pytest.raises(MisuseError, match=r"my\.db"):
        put_back(place, tmp_path / "new", store=made.store_path)
    put_back(place, tmp_path / "new", store=made.store_path, force=True)
    assert not (tmp_path / "new" / "flywheel.db").exists()
    assert len(list((tmp_path / "stores").glob("before-*my.db"))) == 1
    new = Home(tmp_path / "new", made.store_path)
    assert new.whole() == ()
    new.close()


def test_a_damaged_backup_changes_nothing(home, place):
    """It is found before the first file of the home has moved."""
    home.back_up(place)
    for part in (place / "parts").glob("*/*"):
        part.write_bytes(b"?" + part.read_bytes())
    before = home.files()
    with pytest.raises(CorruptError, match="damaged"):
        put_back(place, home.path, force=True)
    assert home.files() == before
    assert home.whole() == ()


def test_a_backup_of_a_newer_flywheel_is_refused(home, place, tmp_path):
    """Its store has a revision nobody here knows: nothing is put in place."""
    with home.store.write() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = 'ffff'")
    home.back_up(place)
    with pytest.raises(SettingsError, match="another version"):
        put_back(place, tmp_path / "new")
    assert not (tmp_path / "new" / "flywheel.db").exists()


@pytest.mark.parametrize("path", ["../outside", "/etc/outside", "a/../../outside"])
def test_a_backup_never_writes_outside_the_home(home, place, tmp_path, path):
    """Whoever tampers with a backup's description reaches no other folder."""
    snapshot = home.back_up(place)
    shelf = FolderShelf(place)
    digest = bytes_hash([b"mine"])
    shelf.put(digest, b"mine")
    evil = Kept(path=path, size=4, sha256=digest, mode=0o644, parts=(digest,))
    file = place / "backups" / f"{snapshot.id}.json"
    file.write_text(snapshot.model_copy(update={"files": (evil, *snapshot.files)}).model_dump_json())
    with pytest.raises(CorruptError, match="outside the home"):
        put_back(place, tmp_path / "new")
    assert not (tmp_path / "outside").exists()


def test_killed_anywhere_the_same_command_ends_it(home, place, tmp_path):
    """At every boundary: the daemon starts on the whole old home, or not at all, never on half a one."""
    home.back_up(place)
    home.furnish(2)
    home.close()
    target, kept = home.path, []

    def work(steps):
        put_back(place, target, force=True, steps=steps)

    def check():
        try:
            started = ground(Settings(home=target), SystemClock())
        except ConflictError:
            return  # it says so, and does not start
        with started.store.read() as session:
            kept.append(len(adapters(session)))
        started.store.close()

    assert killed_at_each(work, check, tmp_path / "seen") > 8
    new = opened(target)
    assert new.whole() == ()
    with new.store.read() as session:
        assert len(adapters(session)) == 1
    assert not (target / ".restoring").exists()
    assert 2 in kept
    asides = [path for path in target.glob("before-*") if (path / "flywheel.db").exists()]
    old = Home(asides[0])
    with old.store.read() as session:
        assert len(adapters(session)) == 2
    old.close()
    new.close()


def test_an_interrupted_restore_is_not_mixed_with_another(home, place, tmp_path):
    """As long as one waits for its end, no other backup is put over it."""
    first = home.back_up(place)
    home.furnish(2)
    home.back_up(place)
    target = tmp_path / "new"

    def stop(boundary):
        if "before routing.json" in boundary:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        put_back(place, target, name=first.id, steps=Steps(stop))
    with pytest.raises(ConflictError, match=first.id):
        put_back(place, target)
    put_back(place, target, name=first.id)
    new = opened(target)
    assert new.whole() == ()
    new.close()


def test_a_single_folder_comes_back(home, place):
    """What bears its own hash can be mended alone, also while the daemon runs; the damaged one moves aside."""
    home.back_up(place)
    (model,) = (home.path / "adapters").rglob("adapter_model.safetensors")
    model.write_bytes(b"broken")
    (finding,) = home.whole()
    only = finding.mend.split("--only ")[1].strip("`")
    with shelf_at(place) as shelf:
        snapshot = shelf.snapshot(shelf.ids()[-1])
        done = restore_some(shelf, snapshot, home.path, [only])
        assert home.whole() == ()
        assert (home.path / done.aside / only / "adapter_model.safetensors").read_bytes() == b"broken"
        with pytest.raises(MisuseError, match="holds nothing"):
            restore_some(shelf, snapshot, home.path, ["datasets/none"])
        with pytest.raises(MisuseError, match="whole home only"):
            restore_some(shelf, snapshot, home.path, ["flywheel.db"])


def test_an_unreadable_description_is_said(home, place, tmp_path):
    """A torn or foreign description is an error in one line, and the others can still be used."""
    good = home.back_up(place)
    bad = place / "backups" / "20990101T000000Z.json"
    bad.write_text(json.dumps({"format": 9}))
    with pytest.raises(CorruptError, match="cannot be read"):
        put_back(place, tmp_path / "new")
    bad.write_text(good.model_copy(update={"format": 9, "id": "20990101T000000Z"}).model_dump_json())
    with pytest.raises(CorruptError, match="format 9"):
        put_back(place, tmp_path / "new")
    put_back(place, tmp_path / "new", name=good.id)
    assert (tmp_path / "new" / "flywheel.db").exists()
