"""The table of marks: how each record of a source looked when it was last read."""

from sqlmodel import Field, SQLModel


class SourceMarkRow(SQLModel, table=True):
    """A record of a source (a session, a file) as it was read; `root` is the task it was read as a part of."""

    __tablename__ = "source_marks"
    source: str = Field(primary_key=True)
    record: str = Field(primary_key=True)
    root: str
    mark: str
