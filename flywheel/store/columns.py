"""What the tables are made of: columns whose type or default needs more than a word."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, DateTime, Integer, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlmodel import Field

from flywheel.core.clocks import parse_time

Sequence = BigInteger().with_variant(Integer, "sqlite")


class Utc(TypeDecorator[datetime]):
    """Aware UTC in, aware UTC out, whatever the database thinks of time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give SQLite's naive values their zone back."""
        return parse_time(value.isoformat()) if value is not None else None


def json_column(**kwargs: Any) -> Any:
    """Return a column of JSON, empty at first."""
    return Field(default_factory=dict, sa_column=Column(JSON, nullable=False), **kwargs)


def when(**kwargs: Any) -> Any:
    """Return a column of moments."""
    return Field(sa_type=Utc, **kwargs)


def seq() -> Any:
    """Return a primary key that counts up and is never used twice (with `AUTO`)."""
    return Field(default=None, sa_column=Column(Sequence, primary_key=True, autoincrement=True))


AUTO = {"sqlite_autoincrement": True}
