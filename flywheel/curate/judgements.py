"""Keeping the bad answers in step with the outcomes: those that are surely wrong now, and answers at all."""

from collections.abc import Sequence

from sqlmodel import Session

from flywheel.core.lines import Line
from flywheel.curate.pairings import may_be_rejected
from flywheel.store import judgements as rows
from flywheel.store.outcomes import StoredOutcome


def judge(session: Session, line: Line, batch: Sequence[StoredOutcome], left: Sequence[str]) -> dict[str, int]:
    """Let a batch of outcomes, and the ones that left the line, be bad answers or not; return what changed."""
    keys = [stored.outcome.key for stored in batch]
    bad = {stored.outcome.key for stored in batch if may_be_rejected(stored.outcome, line)}
    known = rows.judged_among(session, [*keys, *left])
    own = {key for key, name in known.items() if name == line.name}
    new = [key for key in keys if key in bad and key not in own]
    gone = [key for key in dict.fromkeys([*keys, *left]) if key in own and key not in bad]
    rows.drop_judgements(session, [*gone, *(key for key in new if key in known)])
    rows.add_judgements(session, line.name, new)
    told = {"bad_answers/new": len(new), "bad_answers/gone": len(gone)}
    return {name: count for name, count in told.items() if count}
