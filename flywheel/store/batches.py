"""Many rows at once: written without a word of overhead for each, looked up by many keys in one query."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, insert, literal
from sqlmodel import Session, SQLModel, col, select

MANY = 10_000  # values that one query is asked about


def insert_rows(session: Session, table: type[SQLModel], names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows whose values stand in the order of the names, which is the table's; the driver takes them as is."""
    if not rows:
        return
    connection = session.connection()
    statement = insert(table).compile(dialect=connection.dialect, column_keys=list(names))
    if statement.positional:
        assert statement.positiontup == list(names), "values would land in each other's columns"
        connection.exec_driver_sql(str(statement), list(rows))
    else:
        connection.exec_driver_sql(str(statement), [dict(zip(names, row, strict=True)) for row in rows])


def among(session: Session, column: Any, values: Sequence[int] | Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that a column holds one of many values (at most 30,000)."""
    if session.get_bind().dialect.name == "sqlite":  # one parameter, whatever the number of values
        each = func.json_each(literal(json.dumps(list(values)))).table_valued("value")
        return col(column).in_(select(each.c.value))
    return col(column).in_(values)
