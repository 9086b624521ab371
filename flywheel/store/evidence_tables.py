"""The tables of what later evidence changed: pairs, judged answers, superseded examples, and what was forgotten."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from flywheel.store.columns import AUTO, seq, when


class PairRow(SQLModel, table=True):
    """Two outcomes, one better than the other; their words stay with them. `root` is what they were paired by."""

    __tablename__ = "pairs"
    __table_args__ = (Index("pairs_root", "line", "root"), Index("pairs_line", "line", "seq"), AUTO)
    seq: int | None = seq()
    id: str = Field(unique=True)
    line: str
    kind: str
    root: str
    chosen: str = Field(index=True)
    rejected: str = Field(index=True)
    prompt_key: str
    chosen_prompt_key: str
    at: datetime = when()
    withdrawn: bool = False


class JudgementRow(SQLModel, table=True):
    """An outcome whose answer is surely bad, as it stands now; its words stay with it."""

    __tablename__ = "judgements"
    __table_args__ = (Index("judgements_line", "line", "seq"), AUTO)
    seq: int | None = seq()
    outcome: str = Field(unique=True)
    line: str


class SupersessionRow(SQLModel, table=True):
    """An example that stood in a frozen dataset when the evidence for it fell; once for each time it fell."""

    __tablename__ = "supersessions"
    __table_args__ = (
        UniqueConstraint("example", "outcome", "revision"),
        Index("supersessions_line", "line", "seq"),
        AUTO,
    )
    seq: int | None = seq()
    example: str
    line: str
    outcome: str
    revision: int
    label: str
    reason: str
    at: datetime = when()
    event: int = Field(sa_type=BigInteger)


class DepartureRow(SQLModel, table=True):
    """An outcome that left a line: what rests on it there has yet to be let go of."""

    __tablename__ = "departures"
    __table_args__ = (UniqueConstraint("line", "outcome"), AUTO)
    seq: int | None = seq()
    line: str
    outcome: str


class ForgottenRow(SQLModel, table=True):
    """What must never come back, by the keyed hash of its name or content; the hash is all that is left of it."""

    __tablename__ = "forgotten"
    hash: str = Field(primary_key=True)
    kind: str
    at: datetime = when()
    request: str = Field(index=True)


class PurgeRow(SQLModel, table=True):
    """A dataset or suite whose files were deleted because a person wanted something in it forgotten."""

    __tablename__ = "purges"
    hash: str = Field(primary_key=True)
    kind: str
    at: datetime = when()
    request: str
