"""Marks: how records of a source looked, replaced, forgotten and voided one source at a time."""

from flywheel.store.source_marks import Mark, marks, set_marks, spoil_marks
from flywheel.store.stores import open_store, sqlite_url


def test_marks_are_replaced_forgotten_and_voided(tmp_path):
    """A mark is what was set last; None forgets it; voided marks keep their record and its task."""
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store:
        with store.write() as session:
            set_marks(session, "a", {"s1": Mark("s1", "x"), "s2": Mark("s1", "y"), "s3": Mark("s3", "z")})
            set_marks(session, "b", {"s1": Mark("s1", "other")})
            set_marks(session, "a", {"s1": Mark("s1", "x2"), "s3": None, "s4": None})
        with store.read() as session:
            assert marks(session, "a") == {"s1": Mark("s1", "x2"), "s2": Mark("s1", "y")}
        with store.write() as session:
            spoil_marks(session, "a")
        with store.read() as session:
            assert marks(session, "a") == {"s1": Mark("s1", ""), "s2": Mark("s1", "")}
            assert marks(session, "b") == {"s1": Mark("s1", "other")}


def test_thousands_of_marks_move_at_once(tmp_path):
    """More than a statement takes."""
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store:
        for text in ("x", "y"):
            with store.write() as session:
                set_marks(session, "a", {f"s{number}": Mark("r", text) for number in range(3000)})
        with store.read() as session:
            assert set(marks(session, "a").values()) == {Mark("r", "y")}
