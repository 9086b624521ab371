"""Whose turn it is on the shared GPU: one row, moved in the transaction that tells the ledger."""

from sqlmodel import Session

from flywheel.core.turns import Turn
from flywheel.store.counters import cursor, move_cursor

_KEY = "serve:turn"


def turn_of(session: Session) -> Turn:
    """Return where the turn stands; the servers have it as long as nobody ever asked."""
    return Turn.model_validate(cursor(session, _KEY))


def move_turn(session: Session, turn: Turn) -> None:
    """Record where the turn stands."""
    move_cursor(session, _KEY, turn.model_dump(mode="json"))
