"""The tables of what suites are beside their problems: how each one stands, and sketches of what it asks."""

from sqlalchemy import Column, LargeBinary
from sqlmodel import Field, SQLModel


class SuiteStandingRow(SQLModel, table=True):
    """Where a suite came from and whether it is to be replaced or was; one without a row was held out and stands."""

    __tablename__ = "suite_standings"
    suite: str = Field(primary_key=True)
    name: str
    origin: str
    due: bool
    retired: bool


class SuiteSketchRow(SQLModel, table=True):
    """A suite's question by its smallest hashes, whether or not an example asks it; `scheme` is how they were made."""

    __tablename__ = "suite_sketches"
    suite: str = Field(primary_key=True)
    prompt_key: str = Field(primary_key=True)
    scheme: str
    words: int
    hashes: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
