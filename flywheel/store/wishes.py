"""What a person wishes, from wherever they say it: one way of writing it down, as a request with its event."""

import secrets
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlmodel import Session

from flywheel.core.events import Event
from flywheel.core.frozen import Frozen
from flywheel.core.requests import Request, RequestKind
from flywheel.store.ledger import append
from flywheel.store.requests import make_request
from flywheel.store.stores import Store


class Wish(Frozen):
    """What a person asks for."""

    kind: RequestKind
    subject: str
    reason: str = ""
    override: bool = False
    body: dict[str, Any] = Field(default_factory=dict)


def write_wish(store: Store, line: str, wish: Wish, by: str, now: datetime) -> Request:
    """Write down what a person wishes, with its event; return it as a request."""
    with store.write() as session:
        return ask(session, line, wish, by, now)


def ask(session: Session, line: str, wish: Wish, by: str, now: datetime) -> Request:
    """Write a wish in a transaction that is open."""
    request_id = f"req-{secrets.token_hex(4)}"
    told = {
        "request": request_id,
        "by": by,
        **wish.model_dump(exclude={"subject"} if wish.body else {"subject", "body"}),
    }
    event = Event(kind="operator.request_made", at=now, line=line, subject=wish.subject, body=told)
    request = Request(id=request_id, line=line, by=by, at=now, cause=append(session, event), **wish.model_dump())
    make_request(session, request)
    return request
