"""The ledger only grows: in order, without gaps, each keyed event once, every filter exact."""

from datetime import UTC, datetime, timedelta

import pytest

from flywheel.core.events import Event
from flywheel.store.ledger import append, event_by_seq, events, happened, last_event, subjects_like
from flywheel.store.stores import Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def event(number: int, kind: str = "train.run_started", line: str = "a") -> Event:
    return Event(
        kind=kind, at=NOW + timedelta(hours=number), line=line, subject=f"run-{number}", body={"n": number, "ü": [1.5]}
    )


def test_an_event_reads_back_as_it_was_written(store: Store) -> None:
    """Everything is kept, times stay aware UTC, and the number is the only thing added."""
    written = event(1).model_copy(update={"cause": 7})
    with store.write() as session:
        seq = append(session, written)
    with store.read() as session:
        found = event_by_seq(session, seq)
        assert event_by_seq(session, seq + 1) is None
    assert found == written.model_copy(update={"seq": seq})
    assert found is not None
    assert found.at.tzinfo is UTC


def test_a_keyed_event_happens_once(store: Store) -> None:
    """The second append with a key returns the first's number and writes nothing."""
    with store.write() as session:
        first = append(session, event(1), key="k")
        assert append(session, event(2), key="k") == first
    with store.write() as session:
        assert append(session, event(3), key="k") == first
        assert append(session, event(4)) == first + 1
        assert append(session, event(4)) == first + 2
        assert happened(session, "k")
        assert not happened(session, "other")
    with store.read() as session:
        assert [found.subject for found in events(session)] == ["run-1", "run-4", "run-4"]


def test_a_write_that_fails_leaves_no_gap(store: Store) -> None:
    """Numbers are given in order, and one that was not used is given again."""
    for number in range(6):
        try:
            with store.write() as session:
                append(session, event(number))
                if number % 2:
                    raise RuntimeError  # noqa: TRY301
        except RuntimeError:
            continue
    with store.read() as session:
        assert [(found.seq, found.subject) for found in events(session)] == [(1, "run-0"), (2, "run-2"), (3, "run-4")]


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"line": "b"}, [1, 3, 5]),
        ({"line": ""}, []),
        ({"kinds": ("train.run_failed",)}, [4, 5]),
        ({"kinds": ("train.run_failed", "train.run_started")}, [0, 1, 2, 3, 4, 5]),
        ({"subject": "run-2"}, [2]),
        ({"after": NOW + timedelta(hours=3)}, [3, 4, 5]),
        ({"after": 5}, [5]),
        ({"limit": 2}, [4, 5]),
        ({"line": "a", "kinds": ("train.run_started",), "limit": 1}, [2]),
    ],
)
def test_each_filter_is_exact(store: Store, filters: dict[str, object], numbers: list[int]) -> None:
    """Filters join by `and`; the newest that match are returned, in order."""
    with store.write() as session:
        for number in range(6):
            kind = "train.run_started" if number < 4 else "train.run_failed"
            append(session, event(number, kind, "ab"[number % 2]))
    with store.read() as session:
        found = [found.body["n"] for found in events(session, **filters)]  # type: ignore[arg-type]
        last = last_event(session, **{key: value for key, value in filters.items() if key != "limit"})
    assert found == numbers
    assert (last.body["n"] if last else None) == (numbers[-1] if numbers else None)


def test_subjects_are_found_by_their_beginning(store: Store) -> None:
    """A person types the first letters; signs that SQL would read as wild cards are taken as they are."""
    with store.write() as session:
        for subject in ("run-1", "run-12", "ran-1", "50%", "505"):
            append(session, event(1).model_copy(update={"subject": subject}))
    with store.read() as session:
        assert subjects_like(session, "run-1") == ["run-1", "run-12"]
        assert subjects_like(session, "50%") == ["50%"]
        assert subjects_like(session, "_") == []


def test_a_name_is_found_among_the_many_it_begins(store: Store) -> None:
    """The name itself is always among those found, however many longer ones there are."""
    with store.write() as session:
        for number in (*range(199, 99, -1), 1):
            append(session, event(1).model_copy(update={"subject": f"plan@{number}"}))
    with store.read() as session:
        assert subjects_like(session, "plan@1")[0] == "plan@1"
