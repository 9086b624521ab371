"""What the model servers held when last looked at, and what was published to the gateway."""

from datetime import datetime

from sqlmodel import Session, col, select

from flywheel.core.routing import Routing
from flywheel.core.serving import Loaded, Published
from flywheel.store.tables import LoadedRow, RoutingRow


def loaded(session: Session, server: str | None = None) -> list[Loaded]:
    """Return what was loaded and warmed up, on one server or on all."""
    query = select(LoadedRow).order_by(LoadedRow.server, LoadedRow.name)
    rows = session.exec(query.where(LoadedRow.server == server) if server else query).all()
    return [Loaded(**row.model_dump()) for row in rows]


def mark_loaded(session: Session, entry: Loaded) -> None:
    """Record that a server holds an adapter that has answered a request."""
    session.merge(LoadedRow(**entry.model_dump()))
    session.flush()


def forget_loaded(session: Session, server: str, name: str) -> bool:
    """Record that a server no longer holds an adapter; tell whether it was thought to."""
    row = session.get(LoadedRow, (server, name))
    if row is None:
        return False
    session.delete(row)
    session.flush()
    return True


def last_routing(session: Session) -> Published | None:
    """Return the newest routing that was decided."""
    row = session.exec(select(RoutingRow).order_by(col(RoutingRow.version).desc())).first()
    return Published(routing=Routing.model_validate(row.body), at=row.at) if row else None


def publish_routing(session: Session, routing: Routing, at: datetime) -> None:
    """Record a routing; each version once."""
    session.add(RoutingRow(version=routing.version, at=at, body=routing.model_dump(mode="json")))
    session.flush()
