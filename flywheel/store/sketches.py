"""Sketches of questions and answers: finding what a new example is nearly the same as, without reading the pool."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, func
from sqlmodel import Session, SQLModel, col, select

from flywheel.core.sketches import Sketch, Traits
from flywheel.store.batches import among, insert_rows
from flywheel.store.counters import cursor, move_cursor
from flywheel.store.nearness_tables import (
    AnswerSketchRow,
    NearExampleRow,
    NearQuestionRow,
    QuestionBandRow,
    QuestionSketchRow,
)
from flywheel.store.tables import ExampleRow

_CURSOR = "curate/sketches"
_KEY_BYTES = 7  # among a million questions two share a key with a chance of one in a hundred thousand
_ROWS_AT_ONCE = 20  # so many conversations are in memory while reading


class Uncompared(NamedTuple):
    """An example that was not compared with the others yet; its messages as roles with words."""

    seq: int
    line: str
    prompt_key: str
    messages: Sequence[tuple[str, str]]


class Near(NamedTuple):
    """Two things that are nearly the same, and how much so."""

    newer: int
    older: int
    similarity: float


class Asked(NamedTuple):
    """A question by its number, with its sketch."""

    number: int
    prompt_key: str
    sketch: Sketch


class Answered(NamedTuple):
    """An example's answer with its sketch, and the number of its question."""

    example: int
    line: str
    question: int
    sketch: Sketch
    traits: Traits


class Sketched(NamedTuple):
    """What comparing a batch of examples brought."""

    questions: Sequence[Asked]
    bands: Sequence[tuple[int, int]]
    near_questions: Sequence[Near]
    answers: Sequence[Answered]
    near_examples: Sequence[Near]


def sketched_until(session: Session, scheme: str) -> int | None:
    """Return the last example that was compared; None when what is stored was made by another scheme."""
    body = cursor(session, _CURSOR)
    return int(str(body.get("seq", 0))) if body.get("scheme", scheme) == scheme else None


def begin_anew(session: Session, scheme: str) -> None:
    """Delete what another scheme stored: it cannot be compared with."""
    for table in (QuestionSketchRow, QuestionBandRow, NearQuestionRow, AnswerSketchRow, NearExampleRow):
        session.connection().execute(delete(table))
    move_cursor(session, _CURSOR, {"scheme": scheme, "seq": 0})


def uncompared(session: Session, after: int, limit: int) -> Iterator[Uncompared]:
    """Return the next examples to compare, one by one, oldest first."""
    query = (
        select(ExampleRow.seq, ExampleRow.line, ExampleRow.prompt_key, ExampleRow.body)
        .where(col(ExampleRow.seq) > after, ExampleRow.outcome != "")  # what was forgotten has no words
        .order_by(col(ExampleRow.seq))
        .limit(limit)
        .execution_options(yield_per=_ROWS_AT_ONCE)
    )
    for seq, line, prompt_key, body in session.exec(query):
        yield Uncompared(seq or 0, line, prompt_key, body["messages"])


def record_sketches(session: Session, scheme: str, until: int, found: Sketched) -> None:
    """Store what comparing brought, and how far it came."""
    asked = [(one.number, _key(one.prompt_key), *one.sketch) for one in found.questions]
    answered = [(one.example, one.line, one.question, *one.sketch, *one.traits) for one in found.answers]
    insert_rows(session, QuestionSketchRow, ("number", "key", "words", "hashes"), asked)
    # In order: neighbours in the table are then written together, not one page for each.
    insert_rows(session, QuestionBandRow, ("band", "question"), sorted(found.bands))
    insert_rows(session, AnswerSketchRow, ("example", "line", "question", "words", "hashes", *Traits._fields), answered)
    _pairs(session, NearQuestionRow, found.near_questions)
    _pairs(session, NearExampleRow, found.near_examples)
    move_cursor(session, _CURSOR, {"scheme": scheme, "seq": until})


def forget_sketches(session: Session, examples: Sequence[int]) -> None:
    """Delete what is kept of these examples, by their numbers, and of questions that no other example asks."""
    answer, gone = AnswerSketchRow, among(session, AnswerSketchRow.example, examples)
    questions = frozenset(session.exec(select(answer.question).where(gone)).all())
    session.connection().execute(delete(answer).where(gone))
    for side in (NearExampleRow.newer, NearExampleRow.older):
        session.connection().execute(delete(NearExampleRow).where(among(session, side, examples)))
    asked = select(answer.question).where(among(session, answer.question, sorted(questions))).distinct()
    lonely = sorted(questions - frozenset(session.exec(asked).all()))
    places: tuple[Any, ...] = (
        *(QuestionSketchRow.number, NearQuestionRow.newer, NearQuestionRow.older),
        QuestionBandRow.question,
    )
    for column in places:
        session.connection().execute(delete(column.class_).where(among(session, column, lonely)))


def questions_asked(session: Session, prompt_keys: Sequence[str]) -> dict[str, int]:
    """Return the numbers of those questions that were compared before."""
    row, names = QuestionSketchRow, {_key(prompt_key): prompt_key for prompt_key in prompt_keys}
    query = select(row.key, row.number).where(among(session, row.key, sorted(names)))
    return {names[key]: number for key, number in session.exec(query).all()}


def questions_banded(session: Session, bands: Sequence[int]) -> list[tuple[int, int]]:
    """Return which questions have one of these bands, oldest first within a band."""
    row = QuestionBandRow
    query = select(row.band, row.question).where(among(session, row.band, bands))
    return sorted((band, question) for band, question in session.exec(query).all())


def question_sketches(session: Session, numbers: Sequence[int]) -> dict[int, Sketch]:
    """Return the sketches of questions by their numbers."""
    row = QuestionSketchRow
    query = select(row.number, row.words, row.hashes).where(among(session, row.number, numbers))
    return {number: Sketch(words, hashes) for number, words, hashes in session.exec(query).all()}


def near_questions_of(session: Session, numbers: Sequence[int]) -> list[Near]:
    """Return the pairs in which one of these questions stands."""
    row, found = NearQuestionRow, set[Near]()
    for side in (row.newer, row.older):  # apart: each has its own index
        query = select(row.newer, row.older, row.similarity).where(among(session, side, numbers))
        found.update(Near(*one) for one in session.exec(query).all())
    return sorted(found)


def newest_answers(session: Session, questions: Sequence[int], limit: int) -> list[Answered]:
    """Return the newest answers that examples give to each of these questions, so many a line, newest first."""
    row = AnswerSketchRow
    apart: list[Any] = [row.question, row.line]
    order = func.row_number().over(partition_by=apart, order_by=col(row.example).desc())
    newest = select(row.example, order.label("place")).where(among(session, row.question, questions)).subquery()
    columns: list[Any] = [row.example, row.line, row.question, row.words, row.hashes, row.files, row.steps]
    query = (
        select(*columns)
        .join(newest, col(row.example) == newest.c.example)
        .where(newest.c.place <= limit)
        .order_by(col(row.example).desc())
    )
    return [_answer(*one) for one in session.execute(query).all()]


def _key(prompt_key: str) -> int:
    return int.from_bytes(hashlib.blake2b(prompt_key.encode(), digest_size=_KEY_BYTES).digest(), "big")


def _answer(*row: Any) -> Answered:
    example, line, question, words, hashes, files, steps = row
    return Answered(example, line, question, Sketch(words, hashes), Traits(files, steps))


def _pairs(session: Session, table: type[SQLModel], pairs: Sequence[Near]) -> None:
    insert_rows(session, table, ("newer", "older", "similarity"), pairs)
