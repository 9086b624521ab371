"""Operator requests: written by the command line, satisfied or refused by a cycle."""

from typing import Any

from sqlalchemy import bindparam, update
from sqlmodel import Session, col, select

from flywheel.core.requests import Request, RequestKind
from flywheel.store.tables import RequestRow

# Every room asks in every cycle, and putting a statement together takes longer than SQLite does to answer it.
_OPEN = select(RequestRow).where(RequestRow.state == "open").order_by(col(RequestRow.at), col(RequestRow.id))
_OPEN_OF_KINDS = _OPEN.where(col(RequestRow.kind).in_(bindparam("kinds", expanding=True)))


def make_request(session: Session, request: Request) -> None:
    """Write down what a person asks."""
    session.add(RequestRow(**request.model_dump()))
    session.flush()


def open_requests(session: Session, *kinds: RequestKind) -> list[Request]:
    """Return what still waits for an answer, oldest first."""
    found = session.exec(_OPEN_OF_KINDS, params={"kinds": kinds}) if kinds else session.exec(_OPEN)
    return [Request(**row.model_dump()) for row in found.all()]


def newest_requests(session: Session, kind: RequestKind, limit: int = 1000) -> list[Request]:
    """Return requests of a kind, whatever became of them, newest first."""
    query = select(RequestRow).where(RequestRow.kind == kind).order_by(col(RequestRow.at).desc()).limit(limit)
    return [Request(**row.model_dump()) for row in session.exec(query).all()]


def request_by_id(session: Session, request_id: str) -> Request | None:
    """Return one request."""
    row = session.get(RequestRow, request_id)
    return Request(**row.model_dump()) if row else None


def rewrite_request(session: Session, request_id: str, body: dict[str, Any]) -> None:
    """Let an open request hold this and nothing of what it held before: how far its work got."""
    statement = update(RequestRow).where(col(RequestRow.id) == request_id, col(RequestRow.state) == "open")
    session.connection().execute(statement.values(body=body))


def answer_request(session: Session, request_id: str, *, satisfied: bool, answer: str) -> None:
    """Close a request with the sentence the person will read."""
    state = "satisfied" if satisfied else "refused"
    statement = update(RequestRow).where(col(RequestRow.id) == request_id, col(RequestRow.state) == "open")
    session.connection().execute(statement.values(state=state, answer=answer))
