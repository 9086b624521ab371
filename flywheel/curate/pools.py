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
    turn = _Turn(session, line, watermark, example_standings(session, names))
    for stored, name in zip(batch, names, strict=True):
        turn.take(stored, name)
    turn.end()
    mark_considered(session, [stored.seq for stored in batch])
    return dict(sorted(turn.tally.items()))


class _Turn:
    """One batch: how the examples stand, those that came, and what became of each outcome."""

    def __init__(self, session: Session, line: Line, watermark: int, standings: dict[str, Standing]) -> None:
        self.tally: Counter[str] = Counter()
        self._session = session
        self._line = line
        self._watermark = watermark
        self._standings = standings
        self._new: list[Example] = []
        self._foreign: set[str] = set()
        self._fresh = 0

    def take(self, stored: StoredOutcome, name: str) -> None:
        """Let one outcome bring, carry or lose its example."""
        verdict = consider(stored.outcome, stored.prompt_key, self._line)
        if isinstance(verdict, Example):
            if stored.outcome.extra.get("foreign"):
                self._foreign.add(verdict.id)
            self.tally[self._bring(verdict)] += 1
        else:
            self.tally[self._let_go(stored, name) or f"left_out/{verdict}"] += 1

    def end(self) -> None:
        """Write what came, and keep the counters up."""
        add_examples(self._session, self._new, frozenset(self._foreign))
        pool = self.tally["new"] + self.tally["returned"] - self.tally["withdrawn"]
        amounts = {"examples": pool, "examples_fresh": self._fresh, "examples_duplicate": self.tally["duplicate"]}
        amounts |= {name: amount for name, amount in self.tally.items() if name.startswith("left_out/")}
        self.tally = +self.tally
        for name, amount in sorted(amounts.items()):
            if amount:
                add_to_counter(self._session, f"line:{self._line.name}", name, amount)

    def _bring(self, example: Example) -> str:
        standing = self._standings.get(example.id)
        if standing is None:
            self._new.append(example)
            self._stands(example.id, Standing(seq=self._watermark + 1, outcome=example.outcome, withdrawn=False), 1)
            return "new"
        if standing.withdrawn:
            rest_on(self._session, example.id, example.outcome)
            carried = standing.model_copy(update={"outcome": example.outcome, "withdrawn": False})
            self._stands(example.id, carried, 1)
            return "returned"
        return "unchanged" if standing.outcome == example.outcome else "duplicate"

    def _let_go(self, stored: StoredOutcome, name: str) -> str | None:
        """Withdraw the example that rests on an outcome which fell, unless another outcome carries it."""
        standing = self._standings.get(name)
        if standing is None or standing.withdrawn or standing.outcome != stored.outcome.key:
            return None
        carrier = self._carrier(stored)
        if carrier is not None:
            rest_on(self._session, name, carrier)
            self._stands(name, standing.model_copy(update={"outcome": carrier}), 0)
            return "carried_by_another"
        withdraw(self._session, name)
        self._stands(name, standing.model_copy(update={"withdrawn": True}), -(standing.seq > self._watermark))
        return "withdrawn"

    def _carrier(self, stored: StoredOutcome) -> str | None:
        """Return another outcome that is evidence for the same answer."""
        for other in positive_outcomes(self._session, self._line.name, stored.prompt_key):
            same = other.seq != stored.seq and other.outcome.response == stored.outcome.response
            if same and isinstance(consider(other.outcome, other.prompt_key, self._line), Example):
                return other.outcome.key
        return None

    def _stands(self, name: str, standing: Standing, fresh: int) -> None:
        self._standings[name] = standing
        self._fresh += fresh
