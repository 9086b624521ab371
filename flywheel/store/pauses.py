"""Which lines a person has paused, with who and why: one small row that every cycle reads."""

from datetime import datetime
from typing import Any

from sqlmodel import Session

from flywheel.core.clocks import parse_time
from flywheel.core.frozen import Frozen
from flywheel.store.counters import cursor, move_cursor

_PLACE = "operator:pauses"


class Pause(Frozen):
    """A line that starts nothing new: since when, by whom, why, and the event that tells of it."""

    line: str
    by: str
    reason: str = ""
    at: datetime
    seq: int

    @property
    def sentence(self) -> str:
        """Return it in words."""
        return f"paused by {self.by}{f': {self.reason}' if self.reason else ''} (`flywheel resume {self.line}`)"


def paused_lines(session: Session) -> dict[str, Pause]:
    """Return the lines that are paused."""
    held: dict[str, Any] = cursor(session, _PLACE)
    return {line: Pause(line=line, **{**told, "at": parse_time(told["at"])}) for line, told in sorted(held.items())}


def keep_pause(session: Session, pause: Pause) -> None:
    """Let a line be paused; one that was paused before has this reason now."""
    told = pause.model_dump(mode="json", exclude={"line"})
    move_cursor(session, _PLACE, {**cursor(session, _PLACE), pause.line: told})


def lift_pause(session: Session, line: str) -> bool:
    """Let a line go on; False when it was not paused."""
    held = cursor(session, _PLACE)
    if held.pop(line, None) is None:
        return False
    move_cursor(session, _PLACE, held)
    return True
