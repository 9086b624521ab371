"""What is asked of outcomes in every cycle costs the same however many there are."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flywheel.core.outcomes import Label, Labelled, Message, Outcome
from flywheel.store.outcomes import has_waiting, mark_considered, store_outcomes, waiting_outcomes
from flywheel.store.stores import Store, open_store, sqlite_url

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def outcome(number: int) -> Outcome:
    """Return an outcome of the line with a question of its own."""
    return Outcome(
        key=f"k{number}", source="agent", task=f"t{number}", session="s", group="g", call_type="act", at=NOON,
        model="m", messages=(Message(role="user", content=f"question {number}"),), response="answer",
        labelled=Labelled(label=Label.POSITIVE, confidence=0.9, signals=()), line="l",
    )  # fmt: skip


def steps(store: Store, question: Any) -> tuple[Any, int]:
    """Return an answer, and how many hundreds of steps SQLite took to it."""
    counted = [0]

    def count() -> int:
        counted[0] += 1
        return 0

    with store.read() as session:
        driver: Any = session.connection().connection.driver_connection
        driver.set_progress_handler(count, 100)
        answer = question(session)
        driver.set_progress_handler(None, 0)
    return answer, counted[0]


def test_whether_anything_waits_costs_the_same_at_any_size(tmp_path: Path) -> None:
    """Nothing waits among 3,000 outcomes: SQLite needs no more steps than among 10; what does wait is found."""
    found = []
    for size in (10, 3000):
        with open_store(sqlite_url(tmp_path / f"{size}.db")) as store:
            with store.write() as session:
                store_outcomes(session, [outcome(number) for number in range(size)])
            assert steps(store, lambda session: has_waiting(session, "l"))[0]
            with store.write() as session:
                waiting = waiting_outcomes(session, "l", size)
                mark_considered(session, [stored.seq for stored in waiting])
            found.append(steps(store, lambda session: has_waiting(session, "l")))
    assert [answer for answer, _ in found] == [False, False]
    assert found[1][1] <= found[0][1] + 2
