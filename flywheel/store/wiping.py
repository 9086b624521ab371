"""Taking out of the store what is to be forgotten, in one transaction, and out of its file what deleting leaves."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import delete, update
from sqlmodel import Session, SQLModel, col, select

from flywheel.core.errors import ResourceError
from flywheel.store.counters import add_to_counter, counters
from flywheel.store.datasets import last_watermark
from flywheel.store.evidence_tables import DepartureRow
from flywheel.store.forgets import Doomed, carriers
from flywheel.store.join_tables import CapturedCallRow, UnjoinedOutcomeRow
from flywheel.store.judgements import drop_judgements
from flywheel.store.outcomes import reconsider
from flywheel.store.pairings import delete_pairs_of
from flywheel.store.sketches import forget_sketches
from flywheel.store.stores import Store
from flywheel.store.supersessions import held_in
from flywheel.store.tables import AttributionRow, ExampleRow, OutcomeRow, PendingTaskRow

_NAMES_A_QUERY = 400
_LOCK_SECONDS = 5.0
_EMPTY = {"task": "", "session": "", "group": "", "origin": "logged", "foreign": False, "messages": []}


def wipe(session: Session, outcomes: Sequence[Doomed], examples: Sequence[str]) -> None:
    """Delete outcomes with all that rests on them; of an example in a frozen dataset the bare row stays, withdrawn."""
    keys = [one.key for one in outcomes]
    for line, pairs in sorted(delete_pairs_of(session, keys).items()):
        add_to_counter(session, f"line:{line}", "pairs", -pairs)
    drop_judgements(session, keys)
    _wipe_examples(session, examples)
    _hand_over(session, frozenset(keys))
    for table, column in ((DepartureRow, DepartureRow.outcome), (CapturedCallRow, CapturedCallRow.outcome),
                          (UnjoinedOutcomeRow, UnjoinedOutcomeRow.key), (OutcomeRow, OutcomeRow.key)):  # fmt: skip
        _delete(session, table, column, keys)
    _count_out(session, outcomes)


def wipe_places(session: Session, outcomes: Sequence[Doomed]) -> None:
    """Delete what is known of the sessions and tasks themselves: who answered them, and whether they go on."""
    sessions = sorted({one.session for one in outcomes if one.session})
    tasks = sorted({one.task for one in outcomes if one.task})
    _delete(session, AttributionRow, AttributionRow.session, sessions)
    _delete(session, AttributionRow, AttributionRow.task, [*tasks, *sessions])
    _delete(session, CapturedCallRow, CapturedCallRow.session, sessions)
    _delete(session, CapturedCallRow, CapturedCallRow.task, tasks)
    _delete(session, UnjoinedOutcomeRow, UnjoinedOutcomeRow.session, sessions)
    for source in sorted({one.source for one in outcomes}):
        names = sorted({one.task for one in outcomes if one.source == source})
        _delete(session, PendingTaskRow, PendingTaskRow.task, names, col(PendingTaskRow.source) == source)


def scrub(store: Store) -> None:
    """Leave in the store's files nothing of what was deleted; raises ResourceError while somebody is in the way."""
    if store.engine.dialect.name == "sqlite":
        scrub_file(Path(str(store.engine.url.database)))
        return
    tables = (OutcomeRow, ExampleRow, AttributionRow, CapturedCallRow, UnjoinedOutcomeRow, PendingTaskRow)
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name in [*(table.__tablename__ for table in tables), "requests", "pairs"]:
            connection.exec_driver_sql(f"VACUUM FULL {name}")


def scrub_file(path: Path) -> None:
    """Write a database anew from what it holds and empty its log, so that no page keeps what was deleted."""
    if not path.exists():
        return
    connection = sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("VACUUM")
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise ResourceError(f"{path.name} cannot be rewritten now: {error}", "free disk space, or wait") from error
    finally:
        connection.close()
    if busy:
        raise ResourceError(f"the log of {path.name} is being read", "it is tried again", delay=2)


def _wipe_examples(session: Session, examples: Sequence[str]) -> None:
    held = held_in(session, examples)
    for chunk in _chunks(examples):
        rows = session.exec(select(ExampleRow).where(col(ExampleRow.id).in_(chunk))).all()
        _count_examples_out(session, [row for row in rows if not row.withdrawn])
        forget_sketches(session, [row.seq for row in rows if row.seq is not None])
        kept = [row.id for row in rows if row.id in held]
        values = {"withdrawn": True, "outcome": "", "category": "", "body": _EMPTY}
        session.connection().execute(update(ExampleRow).where(col(ExampleRow.id).in_(kept)).values(**values))
        _delete(session, ExampleRow, ExampleRow.id, [row.id for row in rows if row.id not in held])
    session.expire_all()


def _hand_over(session: Session, keys: frozenset[str]) -> None:
    """Let examples rest on another outcome that says the same; whether it is sure enough, curation sees."""
    for chunk in _chunks(sorted(keys)):
        for example in session.exec(select(ExampleRow.id).where(col(ExampleRow.outcome).in_(chunk))).all():
            other = carriers(session, example, keys)[0]
            session.connection().execute(update(ExampleRow).where(col(ExampleRow.id) == example).values(outcome=other))
            reconsider(session, other)


def _count_examples_out(session: Session, rows: Sequence[ExampleRow]) -> None:
    for line in sorted({row.line for row in rows}):
        gone = [row for row in rows if row.line == line]
        watermark = last_watermark(session, line)
        fresh = counters(session, f"line:{line}").get("examples_fresh", 0)
        add_to_counter(session, f"line:{line}", "examples", -len(gone))
        spent = min(fresh, sum((row.seq or 0) > watermark for row in gone))
        if spent:
            add_to_counter(session, f"line:{line}", "examples_fresh", -spent)


def _count_out(session: Session, outcomes: Sequence[Doomed]) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for one in outcomes:
        counts[("unassigned", "outcomes") if one.line is None else (f"line:{one.line}", f"outcomes_{one.label}")] += 1
    for (scope, name), amount in sorted(counts.items()):
        add_to_counter(session, scope, name, -amount)


def _delete(session: Session, table: type[SQLModel], column: Any, names: Sequence[Any], *also: Any) -> None:
    for chunk in _chunks(names):
        session.connection().execute(delete(table).where(col(column).in_(chunk), *also))


def _chunks(names: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (names[start : start + _NAMES_A_QUERY] for start in range(0, len(names), _NAMES_A_QUERY))
