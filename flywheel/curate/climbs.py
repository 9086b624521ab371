"""The ladder's room: lets a line learn by the next rung, once its guardrails allow that."""

import asyncio
from collections.abc import Callable, Mapping

from sqlmodel import Session

from flywheel.core.attempts import Attempt, Done
from flywheel.core.clocks import Clock
from flywheel.core.events import Event
from flywheel.core.facts import Value
from flywheel.core.intents import Intent
from flywheel.core.ladders import FIRST, RUNGS
from flywheel.core.lines import Line
from flywheel.core.rooms import Plan
from flywheel.curate.climb_plans import Climber, plan
from flywheel.store import ledger
from flywheel.store.counters import add_to_counter, counters
from flywheel.store.datasets import ever_held
from flywheel.store.examples import pool
from flywheel.store.releases import ever_promoted
from flywheel.store.rungs import CLIMBED, newest_example, on_its_rung, own_examples, passes_since, stand_of
from flywheel.store.stores import Store

Lines = Callable[[], Mapping[str, Line]]
Count = Callable[[Session, Line], int]


class OwnAnswers:
    """Counts a line's own answers, each time only those that came since: the cost is that of what is new.

    An answer that lost its evidence since is still in the count. Who rests a decision on it counts anew.
    """

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self._seen: dict[str, tuple[int, int]] = {}

    def __call__(self, session: Session, line: Line) -> int:
        """Return how many there are, up to what the line asks for."""
        enough, (before, until) = line.dataset.minimum_examples, self._seen.get(line.name, (0, 0))
        newest = newest_example(session, line.name)
        found = before + (own_examples(session, line.name, enough, until) if newest > until else 0)
        self._seen[line.name] = (min(found, enough), newest)
        return min(found, enough)


def count_own(session: Session, line: Line) -> int:
    """Return how many of a line's own answers teach now, up to what the line asks for."""
    return own_examples(session, line.name, line.dataset.minimum_examples)


def climbers(session: Session, lines: Mapping[str, Line], count: Count = count_own) -> tuple[Climber, ...]:
    """Take the readings of every declared line that may climb at all, wherever it stands."""
    climbing = [line for line in lines.values() if line.highest_rung > line.rung]
    if not climbing:
        return ()
    others = [on_its_rung(session, line).rung for line in lines.values() if not line.planning]
    return tuple(_climber(session, line, min(others, default=None), count) for line in climbing)


def at_the_foot(lines: Mapping[str, Line]) -> tuple[Climber, ...]:
    """Return the same of lines of which nothing is stored yet."""
    others = min((line.rung for line in lines.values() if not line.planning), default=None)
    nothing: dict[str, Value] = {"line.own_examples": 0, "line.passes_on_rung": 0, "line.promotions": 0}
    return tuple(
        Climber(line=line, rung=line.rung, facts={**_facts(line, line.rung, others), **nothing})
        for line in lines.values()
        if line.highest_rung > line.rung
    )


class ClimbRoom:
    """Lets lines climb the ladder. See `core.rooms.Room`."""

    name = "curate"

    def __init__(self, store: Store, clock: Clock, lines: Lines) -> None:
        """See to these lines, as they are declared."""
        self._store = store
        self._clock = clock
        self._lines = lines
        self._count = OwnAnswers()

    async def propose(self) -> Plan:
        """Look where the lines stand."""
        return await asyncio.to_thread(self._plan)

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Let a line stand on its next rung."""
        return await asyncio.to_thread(self._climb, intent, cause)

    def _plan(self) -> Plan:
        with self._store.read() as session:
            return plan(climbers(session, self._lines(), self._count))

    def _climb(self, intent: Intent, cause: int | None) -> Attempt:
        name, rung = intent.line, int(intent.params["rung"])
        with self._store.write() as session:
            before = stand_of(session, self._lines()[name]).rung
            if before >= rung:
                return Done(sentence=f"{name} stands on rung {before} already", changed=False)
            body = {"rung": rung, "from": before, "learns": RUNGS[rung]}
            event = Event(kind=CLIMBED, at=self._clock.now(), line=name, subject=name, cause=cause, body=body)
            ledger.append(session, event, key=f"rung/{name}/{rung}")
            if before == FIRST:
                _count_anew(session, name)
        return Done(sentence=f"{name} climbed to rung {rung}: {RUNGS[rung]}", body=body)


def _climber(session: Session, line: Line, lowest: int | None, count: Count) -> Climber:
    stand = stand_of(session, line)
    passes, own = passes_since(session, line.name, stand.since), count(session, line)
    if passes and own >= line.least_examples:  # it may come to a climb
        own = count_own(session, line)
    facts = {
        **_facts(line, stand.rung, lowest),
        "line.own_examples": own,
        "line.passes_on_rung": passes,
        "line.promotions": ever_promoted(session, line.name),
    }
    return Climber(line=line, rung=stand.rung, since=stand.since, facts=facts)


def _facts(line: Line, rung: int, lowest: int | None) -> dict[str, Value]:
    return {
        "ladder.lowest_other_rung": lowest,
        "line.is_planning": line.planning,
        "line.minimum_examples": line.least_examples,
        "line.next_rung": rung + 1,
        "line.rung": rung,
    }


def _count_anew(session: Session, line: str) -> None:
    """Count as fresh whatever no dataset holds: the line's own answers were left out until now."""
    held, scope = ever_held(session, line), f"line:{line}"
    fresh = sum(example.id not in held for example in pool(session, line))
    add_to_counter(session, scope, "examples_fresh", fresh - counters(session, scope).get("examples_fresh", 0))
