"""Keeping the pool in step with the outcomes: examples come, rest on their outcomes, and leave with them."""

from collections import Counter
from collections.abc import Sequence

from sqlmodel import Session

from flywheel.core.examples import Example
from flywheel.core.lines import Line
from flywheel.curate.admissions import consider, example_id
from flywheel.store.counters import add_to_counter
from flywheel.store.examples import Standing, add_examples, example_standings, rest_on, withdraw
from flywheel.store.outcomes import StoredOutcome, mark_considered, positive_outcomes


def admit(session: Session, line: Line, batch: Sequence[StoredOutcome], watermark: int) -> dict[str, int]:
    """Consider a batch of outcomes; return what became of them by name. Runs in the caller's transaction."""
    names = [example_id(line.name, stored.prompt_key, stored.outcome.response) for stored in batch]
    standings = example_standings(session, names)
    tally: Counter[str] = Counter()
    fresh = 0
    for stored, name in zip(batch, names, strict=True):
        verdict = consider(stored.outcome, stored.prompt_key, line)
        standing = standings.get(name)
        if isinstance(verdict, Example):
            what = _take(session, verdict, standing, foreign=bool(stored.outcome.extra.get("foreign")))
        else:
            what = _let_go(session, line, stored, name, standing) or f"left_out/{verdict}"
        tally[what] += 1
        if what in {"new", "returned", "withdrawn"}:
            standings.update(example_standings(session, [name]))
        is_fresh = what == "withdrawn" and standing is not None and standing.seq > watermark
        fresh += (what in {"new", "returned"}) - is_fresh
    mark_considered(session, [stored.seq for stored in batch])
    _count(session, line.name, tally, fresh)
    return dict(sorted(tally.items()))


def _take(session: Session, example: Example, standing: Standing | None, *, foreign: bool) -> str:
    if standing is None:
        add_examples(session, [example], frozenset({example.id}) if foreign else frozenset())
        return "new"
    if standing.withdrawn:
        rest_on(session, example.id, example.outcome)
        return "returned"
    return "unchanged" if standing.outcome == example.outcome else "duplicate"


def _let_go(session: Session, line: Line, stored: StoredOutcome, name: str, standing: Standing | None) -> str | None:
    """Withdraw the example that rests on an outcome which fell, unless another outcome carries it."""
    if standing is None or standing.withdrawn or standing.outcome != stored.outcome.key:
        return None
    for other in positive_outcomes(session, line.name, stored.prompt_key):
        same = other.outcome.response == stored.outcome.response
        if same and other.seq != stored.seq and isinstance(consider(other.outcome, other.prompt_key, line), Example):
            rest_on(session, name, other.outcome.key)
            return "carried_by_another"
    withdraw(session, name)
    return "withdrawn"


def _count(session: Session, line: str, tally: Counter[str], fresh: int) -> None:
    scope = f"line:{line}"
    pool = tally["new"] + tally["returned"] - tally["withdrawn"]
    amounts = {"examples": pool, "examples_fresh": fresh, "examples_duplicate": tally["duplicate"]}
    amounts |= {name: amount for name, amount in tally.items() if name.startswith("left_out/")}
    for name, amount in sorted(amounts.items()):
        if amount:
            add_to_counter(session, scope, name, amount)
