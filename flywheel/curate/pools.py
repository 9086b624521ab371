"""Keeping the pool in step with the outcomes: examples come, rest on their outcomes, and leave with them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlmodel import Session

from flywheel.core.examples import Example
from flywheel.core.lines import Line
from flywheel.core.provenances import Provenance, provenance_of
from flywheel.curate.admissions import consider, example_id
from flywheel.curate.judgements import judge
from flywheel.curate.pairs import pair_up
from flywheel.store.counters import add_to_counter
from flywheel.store.departures import departed, settle_departures
from flywheel.store.examples import (
    Resting,
    Standing,
    add_examples,
    example_standings,
    examples_resting_on,
    rest_on,
    withdraw,
)
from flywheel.store.outcomes import StoredOutcome, mark_considered, outcomes_by_key, positive_outcomes

OUTCOMES_LEAVING = 500  # so many that left the line are seen to with a batch


class Admission(NamedTuple):
    """What became of a batch by name, and the examples that lost their evidence with the outcome they rested on."""

    tally: dict[str, int]
    fallen: tuple[tuple[str, str], ...]


def admit(session: Session, line: Line, batch: Sequence[StoredOutcome], watermark: int) -> Admission:
    """Consider a batch of outcomes, and those that left the line. Runs in the caller's transaction."""
    names = [example_id(line.name, stored.prompt_key, stored.outcome.response) for stored in batch]
    left = departed(session, line.name, OUTCOMES_LEAVING)
    resting = examples_resting_on(session, line.name, [*(stored.outcome.key for stored in batch), *left])
    standings = example_standings(session, [*names, *(one.id for one in resting)])
    turn = _Turn(session, line, watermark, standings)
    for stored, name in zip(batch, names, strict=True):
        turn.take(stored, name)
    for one in _strays(session, line, resting, dict(zip((s.outcome.key for s in batch), names, strict=True))):
        turn.leave(one)
    turn.end()
    mark_considered(session, [stored.seq for stored in batch])
    settle_departures(session, line.name, left)
    beside = {**pair_up(session, line, batch, left), **judge(session, line, batch, left)}
    return Admission(dict(sorted({**turn.tally, **beside}.items())), tuple(turn.fallen))


def _strays(session: Session, line: Line, resting: Sequence[Resting], names: Mapping[str, str]) -> Iterator[Resting]:
    """Yield the examples whose outcome left the line, or says something else by now."""
    unseen = [one.outcome for one in resting if one.outcome not in names]
    here = {
        stored.outcome.key: example_id(line.name, stored.prompt_key, stored.outcome.response)
        for stored in outcomes_by_key(session, unseen)
        if stored.outcome.line == line.name
    }
    yield from (one for one in resting if {**here, **names}.get(one.outcome) != one.id)


class _Turn:
    """One batch: how the examples stand, those that came, and what became of each outcome."""

    def __init__(self, session: Session, line: Line, watermark: int, standings: dict[str, Standing]) -> None:
        self.tally: Counter[str] = Counter()
        self.fallen: list[tuple[str, str]] = []
        self._session = session
        self._line = line
        self._watermark = watermark
        self._standings = standings
        self._new: list[Example] = []
        self._foreign: set[str] = set()
        self._made: dict[str, Provenance] = {}
        self._fresh = 0

    def take(self, stored: StoredOutcome, name: str) -> None:
        """Let one outcome bring, carry or lose its example."""
        verdict = consider(stored.outcome, stored.prompt_key, self._line)
        if isinstance(verdict, Example):
            if stored.outcome.extra.get("foreign"):
                self._foreign.add(verdict.id)
            if made := provenance_of(stored.outcome.extra):
                self._made[verdict.id] = made
            self.tally[self._bring(verdict)] += 1
        else:
            answered = Resting(
                id=name, outcome=stored.outcome.key, prompt_key=stored.prompt_key, answer=stored.outcome.response
            )
            self.tally[self._let_go(answered) or f"left_out/{verdict}"] += 1

    def leave(self, example: Resting) -> None:
        """Let go of an example whose outcome is another one's, or another one, by now."""
        became = self._let_go(example)
        if became is not None:
            self.tally[became] += 1

    def end(self) -> None:
        """Write what came, and keep the counters up."""
        add_examples(self._session, self._new, frozenset(self._foreign), self._made)
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

    def _let_go(self, example: Resting) -> str | None:
        """Withdraw an example whose outcome does not carry it any more, unless another outcome does."""
        standing = self._standings.get(example.id)
        if standing is None or standing.withdrawn or standing.outcome != example.outcome:
            return None
        carrier = self._carrier(example)
        if carrier is not None:
            rest_on(self._session, example.id, carrier)
            self._stands(example.id, standing.model_copy(update={"outcome": carrier}), 0)
            return "carried_by_another"
        withdraw(self._session, example.id)
        self.fallen.append((example.id, example.outcome))
        self._stands(example.id, standing.model_copy(update={"withdrawn": True}), -(standing.seq > self._watermark))
        return "withdrawn"

    def _carrier(self, example: Resting) -> str | None:
        """Return another outcome that is evidence for the same answer."""
        for other in positive_outcomes(self._session, self._line.name, example.prompt_key):
            same = other.outcome.key != example.outcome and other.outcome.response == example.answer
            if same and isinstance(consider(other.outcome, other.prompt_key, self._line), Example):
                return other.outcome.key
        return None

    def _stands(self, name: str, standing: Standing, fresh: int) -> None:
        self._standings[name] = standing
        self._fresh += fresh
