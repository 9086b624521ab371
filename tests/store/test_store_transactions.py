"""A write happens whole or not at all; a read sees one moment; many writers lose nothing."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import Session

from flywheel.core.events import Event
from flywheel.core.steps import Steps
from flywheel.store.counters import add_to_counter, counters, cursor, fire_once, move_cursor
from flywheel.store.ledger import append, events
from flywheel.store.stores import Store, insert_new, open_store, sqlite_url
from flywheel.store.tables import ScheduleRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def say(session: Session, subject: str) -> int:
    return append(session, Event(kind="daemon.started", at=NOW, subject=subject))


def subjects(store: Store) -> list[str]:
    with store.read() as session:
        return [event.subject for event in events(session)]


def test_a_write_that_fails_leaves_nothing(store: Store) -> None:
    """Event, counter and cursor of a block that raises are all gone, and the next write works."""
    with pytest.raises(RuntimeError, match="halfway"), store.write() as session:  # noqa: PT012 - the block is what is undone
        say(session, "lost")
        add_to_counter(session, "l", "n", 3)
        move_cursor(session, "s", {"row": 9})
        raise RuntimeError("halfway")
    with store.read() as session:
        assert (events(session), counters(session, "l"), cursor(session, "s")) == ([], {}, {})
    with store.write() as session:
        say(session, "kept")
    assert subjects(store) == ["kept"]


def test_a_read_changes_nothing(store: Store) -> None:
    """What a reading session adds is forgotten."""
    with store.read() as session:
        say(session, "never")
    assert subjects(store) == []


def test_a_read_sees_one_moment(store: Store) -> None:
    """A write by somebody else in the middle of a read is not seen by it."""
    with store.read() as session:
        assert events(session) == []
        with store.write() as other:
            say(other, "meanwhile")
        assert events(session) == []
    assert subjects(store) == ["meanwhile"]


def test_what_was_read_stays_usable(store: Store) -> None:
    """Values outlive their session."""
    with store.write() as session:
        say(session, "kept")
    with store.read() as session:
        found = events(session)
    assert found[0].subject == "kept"


def test_eight_threads_lose_nothing(store: Store) -> None:
    """Read-modify-write from many threads at once adds up, and nobody is told of a lock."""

    def work(name: int) -> None:
        for number in range(15):
            with store.write() as session:
                add_to_counter(session, "all", "n", 1)
                say(session, f"{name}-{number}")

    failures: list[BaseException] = []
    threads = [threading.Thread(target=_guarded, args=(work, n, failures)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with store.read() as session:
        assert counters(session, "all") == {"n": 120}
        assert [event.seq for event in events(session)] == list(range(1, 121))


def _guarded(work: object, name: int, failures: list[BaseException]) -> None:
    try:
        work(name)  # type: ignore[operator]
    except BaseException as error:  # noqa: BLE001 - the test shows whatever it was
        failures.append(error)


def test_a_write_announces_its_two_boundaries(path: Path) -> None:
    """Before and after every write there is a boundary to die at; a failed write has no after."""
    heard: list[str] = []
    with open_store(sqlite_url(path), Steps(heard.append)) as store:
        with store.write() as session:
            say(session, "x")
        with pytest.raises(RuntimeError), store.write():
            raise RuntimeError
        with store.read() as session:
            events(session)
    assert heard == ["outside: before write 1", "outside: after write 1", "outside: before write 2"]


def test_counters_add_up_by_scope(store: Store) -> None:
    """A counter is made when it is first added to, and each scope has its own."""
    with store.write() as session:
        for scope, amount in (("a", 2), ("b", 5), ("a", -1)):
            add_to_counter(session, scope, "n", amount)
        add_to_counter(session, "a", "m", 0)
    with store.read() as session:
        assert counters(session, "a") == {"m": 0, "n": 1}
        assert counters(session, "b") == {"n": 5}
        assert counters(session, "c") == {}


def test_a_cursor_moves_whole(store: Store) -> None:
    """The newest position replaces the one before, all of it."""
    bodies: list[dict[str, object]] = [{"row": 1, "old": True}, {"row": 2}]
    for body in bodies:
        with store.write() as session:
            move_cursor(session, "s", body)
    with store.read() as session:
        assert cursor(session, "s") == {"row": 2}
        assert cursor(session, "other") == {}


def test_a_key_fires_once(store: Store) -> None:
    """The second firing with a key is told that it is not the first, in the same or in another transaction."""
    with store.write() as session:
        assert [fire_once(session, "k", NOW), fire_once(session, "k", NOW)] == [True, False]
    with store.write() as session:
        assert [fire_once(session, "k", NOW), fire_once(session, "other", NOW)] == [False, True]


def test_only_what_is_new_is_inserted_and_counted(store: Store) -> None:
    """Rows that are there already, or twice in the batch, are left alone."""
    rows = [{"key": key, "at": NOW} for key in ("a", "b", "a")]
    with store.write() as session:
        assert insert_new(session, ScheduleRow, []) == 0
        assert insert_new(session, ScheduleRow, rows) == 2
        assert insert_new(session, ScheduleRow, [*rows, {"key": "c", "at": NOW}]) == 1


@pytest.fixture
def second(path: Path, store: Store) -> Iterator[Store]:
    with open_store(sqlite_url(path)) as other:
        yield other


def test_two_programs_share_a_store(store: Store, second: Store) -> None:
    """What one program wrote the other reads; a key fires once between them."""
    with store.write() as session:
        assert fire_once(session, "k", NOW)
        say(session, "one")
    with second.write() as session:
        assert not fire_once(session, "k", NOW)
        say(session, "two")
    assert subjects(store) == subjects(second) == ["one", "two"]
