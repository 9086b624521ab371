"""The tables of joining outcomes to the gateway's calls: what was captured, and what still waits for its call."""

from datetime import datetime

from sqlmodel import Field, Index, SQLModel

from flywheel.store.columns import AUTO, seq, when


class CapturedCallRow(SQLModel, table=True):
    """A call of the capture that was answered, by the hashes it is found by; `outcome` is what it was joined to.

    `rule` names the secret that its prompt holds: such an outcome is never stored.
    """

    __tablename__ = "captured_calls"
    __table_args__ = (Index("captured_calls_answer", "answer", "at"), AUTO)
    seq: int | None = seq()
    call: str = Field(unique=True)
    session: str = Field(index=True)
    task: str
    at: datetime = when()
    answer: str
    question: str
    outcome: str | None = Field(default=None, unique=True)
    rule: str = ""


class UnjoinedOutcomeRow(SQLModel, table=True):
    """A recent outcome for which no call was found yet; its call may still be on its way."""

    __tablename__ = "unjoined_outcomes"
    key: str = Field(primary_key=True)
    session: str = Field(index=True)
    answer: str = Field(index=True)
    at: datetime = when(index=True)
