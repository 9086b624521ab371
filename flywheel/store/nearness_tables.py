"""The tables by which nearly equal questions and examples are found; they hold hashes, never words."""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, LargeBinary
from sqlmodel import Field, SQLModel

from flywheel.store.columns import Sequence


def _number() -> Any:
    """Return a primary key that is given, not counted."""
    return Field(sa_column=Column(Sequence, primary_key=True, autoincrement=False))


def _hashes() -> Any:
    return Field(sa_column=Column(LargeBinary, nullable=False))


class QuestionSketchRow(SQLModel, table=True):
    """A question that some example of any line asks; its number is that of the first example that asked it.

    `key` is cut from the question's identity: a small index is looked up and written faster than one of whole hashes.
    """

    __tablename__ = "question_sketches"
    number: int = _number()
    key: int = Field(sa_column=Column(Sequence, unique=True, nullable=False))
    words: int
    hashes: bytes = _hashes()


class QuestionBandRow(SQLModel, table=True):
    """A band of a question: nearly equal questions share one."""

    __tablename__ = "question_bands"
    __table_args__ = {"sqlite_with_rowid": False}
    band: int = _number()
    question: int = _number()


class NearQuestionRow(SQLModel, table=True):
    """Two questions that are nearly the same."""

    __tablename__ = "near_questions"
    __table_args__ = (Index("near_questions_older", "older"), {"sqlite_with_rowid": False})
    newer: int = _number()
    older: int = _number()
    similarity: float


class AnswerSketchRow(SQLModel, table=True):
    """An example's answer, the number of its question, and how hard it is to follow."""

    __tablename__ = "answer_sketches"
    __table_args__ = (Index("answer_sketches_question", "question", "line", "example"),)
    example: int = _number()
    line: str
    question: int = Field(sa_type=BigInteger)
    words: int
    hashes: bytes = _hashes()
    files: int
    steps: int


class NearExampleRow(SQLModel, table=True):
    """Two examples of a line with nearly the same question and nearly the same answer."""

    __tablename__ = "near_examples"
    __table_args__ = (Index("near_examples_older", "older"), {"sqlite_with_rowid": False})
    newer: int = _number()
    older: int = _number()
    similarity: float
