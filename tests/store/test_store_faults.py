"""What goes wrong under the store is told in our own words, leaves nothing half-written, and passes when it may."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import event as sa_event
from sqlalchemy.exc import IntegrityError

from flywheel.core.errors import CorruptError, FlywheelError, ResourceError, SettingsError, TemporaryError
from flywheel.core.events import Event
from flywheel.store.counters import add_to_counter, counters
from flywheel.store.ledger import append, events
from flywheel.store.stores import Store, make_engine, open_store, sqlite_url
from flywheel.store.tables import ScheduleRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def say(store: Store, body: str = "") -> None:
    with store.write() as session:
        add_to_counter(session, "l", "n", 1)
        append(session, Event(kind="daemon.started", at=NOW, body={"text": body}))


def told(store: Store) -> tuple[int, int]:
    with store.read() as session:
        return len(events(session)), counters(session, "l").get("n", 0)


@contextmanager
def no_room(store: Store) -> Iterator[None]:
    """Let the database grow by no more than a few pages, as on a disk that is nearly full."""
    with store.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    def limit(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages + 4}").close()

    store.engine.dispose()
    sa_event.listen(store.engine, "connect", limit)
    yield
    sa_event.remove(store.engine, "connect", limit)
    store.engine.dispose()


def test_a_full_disk_loses_nothing_and_passes(store: Store) -> None:
    """The write that does not fit is told as temporary and leaves no trace; with room again the same write works."""
    say(store)
    with no_room(store):
        with pytest.raises(ResourceError, match=r"cannot write.*full.*nothing was lost") as caught:
            say(store, "x" * 200_000)
        assert caught.value.delay > 0
        assert told(store) == (1, 1)
    say(store, "x" * 200_000)
    assert told(store) == (2, 2)


def test_a_store_that_cannot_grow_is_not_opened_half(tmp_path: Path) -> None:
    """When the schema itself does not fit, opening fails by name, and succeeds later from the start."""
    path = tmp_path / "flywheel.db"
    engine = make_engine(sqlite_url(path))
    sa_event.listen(engine, "connect", lambda c, _: c.execute("PRAGMA max_page_count = 6").close())
    from flywheel.store.migrating import migrate
    from flywheel.store.stores import _translated

    with pytest.raises(ResourceError), _translated():
        migrate(engine)
    engine.dispose()
    with open_store(sqlite_url(path)) as store:
        say(store)
        assert told(store) == (1, 1)


def test_a_lock_that_stays_is_temporary(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that keeps the write lock is named as the reason; readers go on; afterwards all is well."""
    monkeypatch.setattr("flywheel.store.stores.PRAGMAS", ("PRAGMA busy_timeout = 50",))
    with open_store(sqlite_url(path)) as hurried:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TemporaryError, match="locked by another program"):
            say(hurried)
        assert told(hurried) == (0, 0)
        other.execute("ROLLBACK")
        other.close()
        say(hurried)
        assert told(store) == (1, 1)


def test_a_short_lock_is_waited_for(store: Store, path: Path) -> None:
    """Another program's short transaction is not an error."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.15, other.execute, ["COMMIT"])
    release.start()
    say(store)
    release.join()
    other.close()
    assert told(store) == (1, 1)


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    """Whatever lies there is refused as damaged, and left as it was."""
    path.write_bytes(b"this is a letter, not a database. " * 50)
    before = path.read_bytes()
    with pytest.raises(CorruptError, match=r"damaged.*not a database.*restore a backup"):
        open_store(sqlite_url(path))
    assert path.read_bytes() == before


def test_a_corrupt_page_is_named(path: Path) -> None:
    """Bytes that changed under the database are told as damage, not as a surprise."""
    with open_store(sqlite_url(path)) as store:
        for _ in range(40):
            say(store, "x" * 2000)
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    with pytest.raises(CorruptError, match="damaged"), open_store(sqlite_url(path)) as store:
        told(store)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    """A home that may not be written is told with its mend."""
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    with pytest.raises(SettingsError, match="check home"):
        open_store(sqlite_url(home / "flywheel.db"))
    with pytest.raises(SettingsError, match="check home"):
        open_store(sqlite_url(home / "deeper" / "flywheel.db"))


def test_a_store_opened_read_only_says_so(store: Store, path: Path) -> None:
    """Writing where only reading is allowed is a mistake in the settings, for root as for anybody."""
    say(store)
    engine = make_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    with Store(engine) as read_only:
        assert told(read_only) == (1, 1)
        with pytest.raises(SettingsError, match=r"readonly.*check home"):
            say(read_only)


@pytest.mark.parametrize("taken", ["", "flywheel.db"])
def test_a_place_that_is_taken_is_a_mistake_in_the_settings(tmp_path: Path, taken: str) -> None:
    """A home that is a file, or a store that is a folder, is told with its mend."""
    home = tmp_path / "home"
    if taken:
        (home / taken).mkdir(parents=True)
    else:
        home.write_text("a file")
    with pytest.raises(SettingsError, match="check home"):
        open_store(sqlite_url(home / "flywheel.db"))


@pytest.mark.parametrize(
    "url", ["", "flywheel.db", "sqlite:/x", "nonsense://x", "sqlite+nonsense:///x", "postgresql+asyncpgg://x/y"]
)
def test_a_url_nobody_understands_is_a_mistake_in_the_settings(url: str) -> None:
    """The setting is named, in one line, with where to read on."""
    with pytest.raises(SettingsError, match=r"`store`.*see docs/settings.md") as caught:
        open_store(url)
    assert "\n" not in str(caught.value)


def test_a_password_is_not_told() -> None:
    """A URL that cannot be used does not reach a log."""
    with pytest.raises(SettingsError) as caught:
        open_store("postgresql://ada:hunter2@host:port/x")
    assert "hunter2" not in str(caught.value)


def test_a_broken_promise_of_ours_is_not_dressed_up(store: Store) -> None:
    """A violated unique key is a fault of the caller and stays what it is."""
    with pytest.raises(IntegrityError) as caught, store.write() as session:  # noqa: PT012 - the block is what is undone
        session.add(ScheduleRow(key="k", at=NOW))
        session.flush()
        session.connection().exec_driver_sql("INSERT INTO schedules (key, at) VALUES ('k', '2026')")
    assert not isinstance(caught.value, FlywheelError)


def test_the_store_is_its_own_users_only(tmp_path: Path) -> None:
    """The file with the conversations, and what SQLite puts beside it, is readable by nobody else from the start."""
    with open_store(sqlite_url(tmp_path / "new" / "flywheel.db")) as opened, opened.read():
        found = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()}
    assert found["flywheel.db"] == 0o600
    assert set(found.values()) == {0o600}
