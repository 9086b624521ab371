"""Keeping the pairs in step with the outcomes: what a chain's or a question's outcomes say now is what is paired.

The pairs of a root follow from its outcomes alone, so that a batch costs its own roots, in whatever order it comes.
"""

from collections import Counter
from collections.abc import Sequence

from sqlmodel import Session

from flywheel.core.lines import Line
from flywheel.curate.pairings import pairs_among
from flywheel.store import pairings as rows
from flywheel.store.counters import add_to_counter
from flywheel.store.outcomes import StoredOutcome

ANSWERS_A_ROOT = 20  # of each label; the first ones, so that later answers do not unsettle what was paired


def pair_up(session: Session, line: Line, batch: Sequence[StoredOutcome], left: Sequence[str]) -> dict[str, int]:
    """Pair what a batch of outcomes touches, and what the ones that left the line touched; return what changed."""
    roots = rows.roots_with_both(session, line.name, [stored.seq for stored in batch])
    roots |= rows.roots_of(session, line.name, [*(stored.outcome.key for stored in batch), *left])
    tally: Counter[str] = Counter()
    for root in sorted(roots):
        tally.update(_follow(session, line, root))
    amount = tally["pairs/new"] + tally["pairs/returned"] - tally["pairs/withdrawn"]
    if amount:
        add_to_counter(session, f"line:{line.name}", "pairs", amount)
    return dict(+tally)


def _follow(session: Session, line: Line, root: str) -> dict[str, int]:
    """Let the pairs of one root be those its outcomes make now."""
    outcomes = [stored.outcome for stored in rows.rivals(session, line.name, root, ANSWERS_A_ROOT)]
    wanted = {pair.id: pair for pair in pairs_among(line, root, outcomes)}
    known = {stored.pair.id: stored for stored in rows.pairs_by_root(session, line.name, root)}
    new = [pair for name, pair in wanted.items() if name not in known]
    returned = [name for name, stored in known.items() if name in wanted and stored.withdrawn]
    withdrawn = [name for name, stored in known.items() if name not in wanted and not stored.withdrawn]
    rows.add_pairs(session, new)
    rows.mark_pairs(session, returned, withdrawn=False)
    rows.mark_pairs(session, withdrawn, withdrawn=True)
    return {"pairs/new": len(new), "pairs/returned": len(returned), "pairs/withdrawn": len(withdrawn)}
