"""The pool of examples: accumulated, never replaced; what lost its evidence stays, marked withdrawn."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session, col, select

from flywheel.core.curricula import level_among
from flywheel.core.examples import Example, PoolExample
from flywheel.core.frozen import Frozen
from flywheel.core.outcomes import Message
from flywheel.core.provenances import Provenance
from flywheel.store.nearness_tables import AnswerSketchRow
from flywheel.store.tables import ExampleRow

_DOMAIN = "domain:"
_NAMES_A_QUERY = 500


class Standing(Frozen):
    """Whose outcome an example rests on, and whether it was withdrawn."""

    seq: int
    outcome: str
    withdrawn: bool


class Resting(Frozen):
    """An example that stands, the outcome it rests on, and what it answers to what."""

    id: str
    outcome: str
    prompt_key: str
    answer: str


def example_standings(session: Session, ids: Sequence[str]) -> dict[str, Standing]:
    """Return which of these examples are in the pool, and how they stand."""
    found: dict[str, Standing] = {}
    for chunk in _chunks(ids):
        query = select(ExampleRow.id, ExampleRow.seq, ExampleRow.outcome, ExampleRow.withdrawn)
        for name, seq, outcome, withdrawn in session.exec(query.where(col(ExampleRow.id).in_(chunk))).all():
            found[name] = Standing(seq=seq or 0, outcome=outcome, withdrawn=withdrawn)
    return found


def examples_resting_on(session: Session, line: str, outcomes: Sequence[str]) -> list[Resting]:
    """Return the line's examples that rest on any of these outcomes, with what they answer."""
    found: list[Resting] = []
    for chunk in _chunks(outcomes):
        # Not by line as well: SQLite would take the index by line and read all of the line's examples.
        rows = session.exec(select(ExampleRow).where(col(ExampleRow.outcome).in_(chunk))).all()
        found += [_resting(row) for row in rows if row.line == line and not row.withdrawn]
    return found


def as_logged(row: ExampleRow) -> tuple[str, str] | None:
    """Return question and answer as its outcome has them, whatever form the example was given; None when forgotten."""
    if not row.body["messages"]:
        return None
    question, answer = row.body.get("logged", (row.prompt_key, row.body["messages"][-1][1]))
    return question, answer


def add_examples(
    session: Session,
    examples: Sequence[Example],
    foreign: frozenset[str] = frozenset(),
    made: Mapping[str, Provenance] = MappingProxyType({}),
) -> None:
    """Add examples that are known not to be there; `foreign` names those from repos that are not the person's own.

    `made` tells of some what they were made from.
    """
    if examples:
        rows = [_row(example, example.id in foreign, made.get(example.id)) for example in examples]
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
    body, sketch = col(ExampleRow.body), AnswerSketchRow
    query = (
        select(ExampleRow.seq, ExampleRow.id, ExampleRow.category, ExampleRow.prompt_key)
        .add_columns(col(ExampleRow.at), *(body[name].as_string() for name in ("task", "session", "group", "origin")))
        .add_columns(body["foreign"].as_boolean(), body["weight"].as_float(), body["tags"].as_string())
        .add_columns(body["made"].as_string())
        .add_columns(*(col(column) for column in (sketch.question, sketch.files, sketch.steps, sketch.words)))
        .outerjoin(sketch, col(sketch.example) == col(ExampleRow.seq))
        .where(col(ExampleRow.line) == line, col(ExampleRow.withdrawn).is_(False))
        .order_by(col(ExampleRow.seq))
    )
    return [_pool_example(tuple(row)) for row in session.execute(query).all()]


def withdrawn_among(session: Session, ids: Sequence[str]) -> frozenset[str]:
    """Return which of these examples were withdrawn."""
    return frozenset(name for name, standing in example_standings(session, ids).items() if standing.withdrawn)


def examples_from(session: Session, outcome: str) -> list[dict[str, Any]]:
    """Return the names of the examples that rest on an outcome, each with whether it was withdrawn."""
    query = select(ExampleRow.id, ExampleRow.withdrawn).where(ExampleRow.outcome == outcome)
    return [{"id": name, "withdrawn": gone} for name, gone in session.exec(query.order_by(col(ExampleRow.seq))).all()]


def examples_by_id(session: Session, ids: Sequence[str]) -> dict[str, Example]:
    """Return a few examples, whole."""
    found: dict[str, Example] = {}
    for chunk in _chunks(ids):
        query = select(ExampleRow).where(col(ExampleRow.id).in_(chunk))
        found.update({row.id: _example(row) for row in session.exec(query).all()})
    return found


def example_by_id(session: Session, example: str) -> Example | None:
    """Return one example, whole."""
    row = session.exec(select(ExampleRow).where(ExampleRow.id == example)).first()
    return _example(row) if row else None


def oldest_fresh(session: Session, line: str, watermark: int) -> datetime | None:
    """Return when the first example after a watermark happened."""
    query = select(ExampleRow.at).where(ExampleRow.line == line, col(ExampleRow.seq) > watermark)
    return session.exec(query.order_by(col(ExampleRow.seq)).limit(1)).first()


def _row(example: Example, foreign: bool, made: Provenance | None) -> dict[str, Any]:  # noqa: FBT001 - private
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
            **({"weight": example.weight} if example.weight != 1 else {}),
            **({"tags": list(example.tags)} if example.tags else {}),
            **({"tools": list(example.tools)} if example.tools else {}),
            **({"form": example.form} if example.form != "as_logged" else {}),
            **({"logged": list(example.logged)} if example.logged else {}),
            **({"made": made.model_dump(exclude_defaults=True)} if made else {}),
        },
    }


def _resting(row: ExampleRow) -> Resting:
    question, answer = as_logged(row) or ("", "")
    return Resting(id=row.id, outcome=row.outcome, prompt_key=question, answer=answer)


def _pool_example(row: tuple[Any, ...]) -> PoolExample:
    names = ("seq", "id", "category", "prompt_key", "at", "task", "session", "group", "origin", "foreign", "weight")
    known = dict(zip(names, row, strict=False))
    *_, tags, made, question, files, steps, words = row
    known["weight"] = 1.0 if known["weight"] is None else known["weight"]
    compared = {} if question is None else {"question": question, "files": files, "steps": steps, "words": words}
    provenance = Provenance.model_validate_json(made) if made else None
    level = level_among(json.loads(tags)) if tags else None
    return PoolExample(**known, **compared, domain=_domain(tags), made=provenance, level=level)


def _domain(tags: str | None) -> str:
    """Return what an example is about, from its tags as the database tells them: a list in JSON."""
    named = [tag for tag in json.loads(tags) if tag.startswith(_DOMAIN)] if tags else []
    return str(named[0]).removeprefix(_DOMAIN) if named else ""


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
        weight=body.get("weight", 1.0),
        tags=tuple(body.get("tags", ())),
        tools=tuple(body.get("tools", ())),
        form=body.get("form", "as_logged"),
        logged=tuple(body["logged"]) if "logged" in body else None,
    )


def _chunks(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[start : start + _NAMES_A_QUERY] for start in range(0, len(names), _NAMES_A_QUERY)]
