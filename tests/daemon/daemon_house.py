"""A cycle around scripted rooms, on a real store, under a clock that is moved by hand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flywheel.core.attempts import Attempt, Done
from flywheel.core.clocks import ManualClock
from flywheel.core.events import Event
from flywheel.core.intents import Intent
from flywheel.core.rooms import Plan, Proposal
from flywheel.core.steps import Steps
from flywheel.daemon.cycles import Cycle
from flywheel.policy.guardrails import Guardrail, PolicySet
from flywheel.store.ledger import events
from flywheel.store.stores import Store


def proposal(
    kind: str = "train.start_run", subject: str = "run-1", examples: int | None = 5, cause: int | None = None
) -> Proposal:
    """Return a wish with the one fact that the guardrails of these tests look at."""
    intent = Intent(kind=kind, line="l", subject=subject, why="because")
    return Proposal(intent=intent, facts={"dataset.examples": examples}, cause=cause)


def guardrail(verdict: str = "hold", least: int = 3, mode: str = "enforce") -> Guardrail:
    """Return a rule that asks for examples before a run."""
    require = [{"kind": "at_least", "fact": "dataset.examples", "value": least}]
    return Guardrail.model_validate(
        {
            "name": "minimum",
            "why": "w",
            "guards": "train.start_run",
            "mode": mode,
            "verdict": verdict,
            "require": require,
        }
    )


class Scripted:
    """A room that wants what it is told and answers what it is told."""

    def __init__(self, name: str = "train", wants: Sequence[Proposal] = (), waits: Mapping[str, str] | None = None):
        self.name = name
        self.wants = list(wants)
        self.waits = dict(waits or {})
        self.performed: list[tuple[str, int | None]] = []
        self.answer: Callable[[Intent], Attempt] = lambda intent: Done(sentence=f"did {intent.subject}")
        self.fault: Exception | None = None

    async def propose(self) -> Plan:
        """Say what it wants, or fail at it."""
        if self.fault is not None:
            raise self.fault
        return Plan(proposals=tuple(self.wants), waits=self.waits)

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Note the deed and answer."""
        self.performed.append((intent.subject, cause))
        return self.answer(intent)


class House:
    """The rooms, the policies, and what became of them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock()
        self.guardrails: tuple[Guardrail, ...] = ()
        self.heard: list[str] = []

    def cycle(self, *rooms: Scripted) -> Cycle:
        """Return a cycle over these rooms."""
        steps = Steps(self.heard.append)
        return Cycle(self.store, self.clock, rooms, lambda: PolicySet(guardrails=self.guardrails), steps)

    def events(self, *kinds: str) -> list[Event]:
        """Return the ledger's events of these kinds."""
        with self.store.read() as session:
            return events(session, kinds=kinds)

    def kinds(self) -> list[str]:
        """Return the names of all events, in order."""
        return [event.kind for event in self.events()]


def raising(error: Exception) -> Callable[[Any], Attempt]:
    """Return an answer that is a fault."""

    def answer(_: Any) -> Attempt:
        raise error

    return answer
