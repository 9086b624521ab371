"""Gateway calls as the store keeps them: who asked, which adapter answered, on which arm; stored once by call."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from flywheel.core.frozen import Frozen
from flywheel.store.stores import insert_new
from flywheel.store.tables import AttributionRow


class GatewayCall(Frozen):
    """A call of the agent through the gateway, joined to the model that answered it."""

    call: str
    line: str
    name: str
    arm: str
    task: str
    session: str
    at: datetime


def attribute(session: Session, calls: Sequence[GatewayCall]) -> int:
    """Store calls; return how many were new."""
    return insert_new(session, AttributionRow, [call.model_dump() for call in calls])
