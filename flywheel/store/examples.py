"""The pool of examples: accumulated, never replaced; what lost its evidence stays, marked withdrawn."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session, col, select

from flywheel.core.examples import Example, PoolExample
from flywheel.core.frozen import Frozen
from flywheel.core.outcomes import Message
from flywheel.store.tables import ExampleRow

_NAMES_A_QUERY = 500


class Standing(Frozen):
    """Whose outcome an example rests on, and whether it was withdrawn."""

    seq: int
    outcome: str
    withdrawn: bool


def example_standings(session: Session, ids: Sequence[str]) -> dict[str, Standing]:
    """Return which of these examples are in the pool, and how they stand."""
    found: dict[str, Standing] = {}
    for chunk in _chunks(ids):
        query = select(ExampleRow.id, ExampleRow.seq, ExampleRow.outcome, ExampleRow.withdrawn)
        for name, seq, outcome, withdrawn in session.exec(query.where(col(ExampleRow.id).in_(chunk))).all():
            found[name] = Standing(seq=seq or 0, outcome=outcome, withdrawn=withdrawn)
    return found


def add_examples(session: Session, examples: Sequence[Example], foreign: frozenset[str] = frozenset()) -> None:
    """Add examples that are known not to be there; `foreign` names those from repos that are not the person's own."""
    if examples:
        rows = [_row(example, example.id in foreign) for example in examples]
        session.connection().execute(insert(ExampleRow), rows)


def rest_on(session: Session, example: str, outcome: str) -> None:
    """Let an example rest on an outcome; it is in the pool again when it was withdrawn."""
    row = session.exec(select(ExampleRow).where(ExampleRow.id == example)).one()
    row.outcome, row.withdrawn = outcome, False
    session.add(row)
    session.flush()


def withdraw(session: Session, example: str) -> None:
    """Take an example out of everything that is frozen from now on."""
    row = session.exec(select(ExampleRow).where(ExampleRow.id == example)).one()
    row.withdrawn = True
    session.add(row)
    session.flush()


def pool(session: Session, line: str) -> list[PoolExample]:
    """Return every example of a line that was not withdrawn, in the order they came, without their words."""
    body = col(ExampleRow.body)
    query = (
        select(ExampleRow.seq, ExampleRow.id, ExampleRow.category, ExampleRow.prompt_key)
        .add_columns(col(ExampleRow.at), *(body[name].as_string() for name in ("task", "session", "group", "origin")))
        .add_columns(body["foreign"].as_boolean())
        .where(col(ExampleRow.line) == line, col(ExampleRow.withdrawn).is_(False))
        .order_by(col(ExampleRow.seq))
    )
    return [_pool_example(tuple(row)) for row in session.execute(query).all()]


def withdrawn_among(session: Session, ids: Sequence[str]) -> frozenset[str]:
    """Return which of these examples were withdrawn."""
    return frozenset(name for name, standing in example_standings(session, ids).items() if standing.withdrawn)


def words_of(session: Session, ids: Sequence[str]) -> dict[str, tuple[Message, ...]]:
    """Return the conversations of a few examples."""
    found: dict[str, tuple[Message, ...]] = {}
    for chunk in _chunks(ids):
        query = select(ExampleRow.id, ExampleRow.body).where(col(ExampleRow.id).in_(chunk))
        for name, body in session.exec(query).all():
            found[name] = tuple(Message(role=role, content=content) for role, content in body["messages"])
    return found


def example_by_id(session: Session, example: str) -> Example | None:
    """Return one example, whole."""
    row = session.exec(select(ExampleRow).where(ExampleRow.id == example)).first()
    return _example(row) if row else None


def oldest_fresh(session: Session, line: str, watermark: int) -> datetime | None:
    """Return when the first example after a watermark happened."""
    query = select(ExampleRow.at).where(ExampleRow.line == line, col(ExampleRow.seq) > watermark)
    return session.exec(query.order_by(col(ExampleRow.seq)).limit(1)).first()


def _row(example: Example, foreign: bool) -> dict[str, Any]:  # noqa: FBT001 - private
    return {
        "id": example.id,
        "line": example.line,
        "outcome": example.outcome,
        "category": example.category,
        "at": example.at,
        "prompt_key": example.prompt_key,
        "withdrawn": False,
        "body": {
            "task": example.task,
            "session": example.session,
            "group": example.group,
            "origin": example.origin,
            "foreign": foreign,
            "messages": [[message.role, message.content] for message in example.messages],
        },
    }


def _pool_example(row: tuple[Any, ...]) -> PoolExample:
    names = ("seq", "id", "category", "prompt_key", "at", "task", "session", "group", "origin", "foreign")
    return PoolExample(**dict(zip(names, row, strict=True)))


def _example(row: ExampleRow) -> Example:
    body = row.body
    return Example(
        id=row.id,
        line=row.line,
        outcome=row.outcome,
        task=body["task"],
        session=body["session"],
        group=body["group"],
        category=row.category,
        at=row.at,
        origin=body["origin"],
        messages=tuple(Message(role=role, content=content) for role, content in body["messages"]),
        prompt_key=row.prompt_key,
    )


def _chunks(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[start : start + _NAMES_A_QUERY] for start in range(0, len(names), _NAMES_A_QUERY)]
