"""What a person may list and look at: a closed registry of nouns, read from their projections."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import String, cast
from sqlmodel import Session, SQLModel, col, select

from flywheel.core.frozen import Frozen
from flywheel.store import tables as t
from flywheel.store.prefixes import begins


class Noun(Frozen):
    """A listable thing: its table, its name column, the columns a list shows, what orders it."""

    table: type[SQLModel]
    key: str
    columns: tuple[str, ...]
    order: str = "seq"


NOUNS: Mapping[str, Noun] = MappingProxyType(
    {
        "outcomes": Noun(
            table=t.OutcomeRow,
            key="key",
            columns=("seq", "at", "source", "task", "line", "label", "confidence", "model", "key"),
        ),
        "examples": Noun(table=t.ExampleRow, key="id", columns=("seq", "at", "line", "category", "withdrawn", "id")),
        "datasets": Noun(table=t.DatasetRow, key="hash", columns=("line", "number", "watermark", "hash")),
        "runs": Noun(
            table=t.RunRow, key="id", columns=("id", "line", "state", "dataset", "started_at", "finished_at", "error")
        ),
        "adapters": Noun(table=t.AdapterRow, key="name", columns=("name", "run", "hash", "path")),
        "suites": Noun(table=t.SuiteRow, key="hash", columns=("line", "problems", "groups", "live", "hash")),
        "reports": Noun(table=t.ReportRow, key="id", columns=("at", "line", "adapter", "verdict", "alpha_spent", "id")),
        "releases": Noun(
            table=t.ReleaseRow, key="name", columns=("name", "state", "share", "approved", "overridden", "changed_at")
        ),
        "requests": Noun(
            table=t.RequestRow, key="id", columns=("at", "kind", "subject", "state", "answer", "id"), order="at"
        ),
        "jobs": Noun(table=t.JobRow, key="id", columns=("id", "state", "attempts", "progress", "error"), order="id"),
        "quarantine": Noun(table=t.QuarantineRow, key="row", columns=("seq", "at", "source", "rule", "reason", "row")),
    }
)


def list_rows(
    session: Session, noun: str, line: str | None = None, limit: int = 50, where: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return the newest rows of a noun, newest first, whole; `where` wants columns to have these values."""
    spec = NOUNS[noun]
    query = select(spec.table).order_by(col(getattr(spec.table, spec.order)).desc()).limit(limit)
    if line is not None and hasattr(spec.table, "line"):
        query = query.where(spec.table.line == line)
    for name, value in (where or {}).items():
        query = query.where(_has(spec.table, name, value))
    return [row.model_dump(mode="json") for row in session.exec(query).all()]


def _has(table: Any, name: str, value: Any) -> Any:
    """Return the condition that a row has a value: in a column, in its body, as a tag, or by its outcome."""
    if name == "tag":
        return cast(col(table.body), String).contains(json.dumps(value), autoescape=True)
    if name == "source" and table is t.ExampleRow:
        return col(table.outcome).in_(select(t.OutcomeRow.key).where(t.OutcomeRow.source == value))
    if name in table.model_fields:
        return col(getattr(table, name)) == value
    return col(table.body)[name].as_string() == value


def find_rows(session: Session, noun: str, name: str) -> list[dict[str, Any]]:
    """Return the rows whose name is, or begins with, what a person typed."""
    spec = NOUNS[noun]
    column = col(getattr(spec.table, spec.key))
    exact = session.exec(select(spec.table).where(column == name)).all()
    found = exact or session.exec(select(spec.table).where(begins(session, column, name)).limit(10)).all()
    return [row.model_dump(mode="json") for row in found]


def count_releases(session: Session, line: str) -> dict[str, list[str]]:
    """Return the names of a line's releases by state."""
    rows = session.exec(select(t.ReleaseRow).where(t.ReleaseRow.line == line).order_by(col(t.ReleaseRow.number))).all()
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.state, []).append(row.name)
    return found
