"""Where a line stands on the ladder: as its file says, or as high as it has climbed since."""

from typing import NamedTuple

from sqlmodel import Session, col, select

from flywheel.core.ladders import OWN
from flywheel.core.lines import Line
from flywheel.store.ledger import events, last_event
from flywheel.store.tables import ExampleRow

CLIMBED, PASSED = "curate.rung_climbed", "gate.adapter_passed"
_MOST_PASSES = 100


class Stand(NamedTuple):
    """A line's rung, and the event that put it there: 0 where it began."""

    rung: int
    since: int


def stand_of(session: Session, line: Line) -> Stand:
    """Return where a line stands, never above what its file allows."""
    if line.highest_rung <= line.rung:
        return Stand(line.rung, 0)
    climbed = last_event(session, line=line.name, kinds=[CLIMBED])
    if climbed is None or climbed.body["rung"] <= line.rung:
        return Stand(line.rung, 0)
    return Stand(min(int(climbed.body["rung"]), line.highest_rung), climbed.seq or 0)


def on_its_rung(session: Session, line: Line) -> Line:
    """Return a line as it stands today."""
    rung = stand_of(session, line).rung
    return line if rung == line.rung else line.model_copy(update={"rung": rung})


def passes_since(session: Session, line: str, seq: int) -> int:
    """Return how many adapters of a line passed their gate after an event."""
    return len(events(session, line=line, kinds=[PASSED], after=seq, limit=_MOST_PASSES))


def own_examples(session: Session, line: str, enough: int, after: int = 0) -> int:
    """Return how many of a line's examples after a number are its own agent's answers, counted up to enough."""
    origin = col(ExampleRow.body)["origin"].as_string()
    query = select(ExampleRow.seq).where(col(ExampleRow.line) == line, col(ExampleRow.seq) > after)
    query = query.where(col(ExampleRow.withdrawn).is_(False), origin.in_(sorted(OWN)))
    return len(session.exec(query.limit(enough)).all())


def newest_example(session: Session, line: str) -> int:
    """Return the number of a line's newest example."""
    query = select(ExampleRow.seq).where(col(ExampleRow.line) == line).order_by(col(ExampleRow.seq).desc())
    return session.exec(query.limit(1)).first() or 0
