"""Verifying: a whole home is whole, and whatever is damaged is named with its mend."""

import random
from contextlib import suppress

import pytest

from flywheel.core.events import Event
from flywheel.keep.verifications import verify
from flywheel.store.ledger import append
from flywheel.store.purges import mark_purged


def test_a_whole_home_is_whole(home):
    """Everything is looked at, nothing is found."""
    home.furnish(2)
    found = verify(home.path, home.store)
    assert found.whole
    assert found.looked_at == {"database": 1, "dataset": 2, "suite": 2, "adapter": 2, "report": 2}


@pytest.mark.parametrize("kind", ["datasets", "suites", "adapters"])
def test_any_changed_byte_is_found(home, kind):
    """Whatever byte of whatever file that bears a hash is changed: it is named, and put back as it was it is whole."""
    chance = random.Random(kind)
    files = [path for path in (home.path / kind).rglob("*") if path.is_file() and path.name != "manifest.json"]
    for path in files:
        data = path.read_bytes()
        place = chance.randrange(len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :])
        (finding,) = home.whole()
        assert finding.place == path.relative_to(home.path).as_posix()
        assert finding.mend.startswith(f"`flywheel restore BACKUP --only {kind}/")
        path.write_bytes(data)
    assert home.whole() == ()


@pytest.mark.parametrize("kind", ["datasets", "suites", "adapters", "reports"])
def test_any_missing_file_is_found(home, kind):
    """A file that has to be there and is not is named."""
    for path in [path for path in (home.path / kind).rglob("*") if path.is_file()]:
        data = path.read_bytes()
        path.unlink()
        assert path.relative_to(home.path).as_posix() in {finding.place for finding in home.whole()}
        path.write_bytes(data)
    assert home.whole() == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DELETE FROM ledger WHERE seq = 2", "missing in the ledger"),
        ("UPDATE ledger SET cause = 4 WHERE seq = 3", "before their cause"),
        ("UPDATE ledger SET cause = 999 WHERE seq = 3", "whose cause is no event"),
        ("DELETE FROM runs", "rows of adapters whose run is no row of runs"),
        ("DELETE FROM examples", "rows of dataset_examples whose example is no row of examples"),
        ("DELETE FROM outcomes", "rows of examples whose outcome is no row of outcomes"),
        ("UPDATE counters SET value = 9", "examples counted"),
        ("UPDATE adapters SET hash = 'x'", "not those of its hash"),
    ],
)
def test_what_contradicts_itself_in_the_store_is_found(home, change, told):
    """Holes in the ledger, effects before causes, names that lead nowhere, counts that are wrong."""
    with home.store.write() as session:
        session.connection().exec_driver_sql(change)
    findings = home.whole()
    assert any(told in finding.fault for finding in findings), findings
    assert all(finding.mend for finding in findings)


def test_a_page_of_the_store_that_is_damaged_is_found(home):
    """SQLite's own look through every page is part of it."""
    (home.path / "capture.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 8192)
    (finding,) = home.whole()
    assert finding.place == "capture.db"
    assert "gateway" in finding.mend


def test_what_was_given_up_in_order_is_not_missed(home):
    """Files of a forgotten dataset are gone by a person's wish, and a write that was turned back leaves no hole."""
    digest = next((home.path / "datasets").iterdir()).name
    with home.store.write() as session:
        mark_purged(session, [digest], [], home.clock.now(), "r")
    for path in (home.path / "datasets" / digest).iterdir():
        path.unlink()
    with suppress(ZeroDivisionError), home.store.write() as session:
        append(session, Event(kind="daemon.started", at=home.clock.now()))
        raise ZeroDivisionError
    with home.store.write() as session:
        append(session, Event(kind="daemon.stopped", at=home.clock.now()))
    assert home.whole() == ()
