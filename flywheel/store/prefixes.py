"""Names by their beginning, found in an index wherever the database can."""

from typing import Any

from sqlalchemy import ColumnElement, and_
from sqlmodel import Session

_LAST = "\U0010ffff"  # sorts behind whatever a name may go on with


def begins(session: Session, column: Any, name: str) -> ColumnElement[bool]:
    """Return the condition that a column begins with a name: as a range, because SQLite answers no LIKE by it.

    PostgreSQL sorts by its locale, where such a range may mean something else: there it is a LIKE.
    """
    if session.get_bind().dialect.name == "sqlite":
        return and_(column >= name, column < name + _LAST)
    beginning: ColumnElement[bool] = column.startswith(name, autoescape=True)
    return beginning
