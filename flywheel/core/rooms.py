"""The seam every room presents to the cycle: propose, then perform what was allowed."""

from collections.abc import Mapping
from typing import Protocol

from pydantic import Field

from flywheel.core.attempts import Attempt
from flywheel.core.facts import Value
from flywheel.core.frozen import Frozen
from flywheel.core.intents import Intent


class Proposal(Frozen):
    """An intent with the facts it is to be judged by and the event that led to it."""

    intent: Intent
    facts: dict[str, Value] = Field(default_factory=dict)
    cause: int | None = None


class Plan(Frozen):
    """What a room wants now, and for each line one sentence about what it waits for.

    `again_in` asks for another look after so many seconds, where nothing else would give a reason to look.
    """

    proposals: tuple[Proposal, ...] = ()
    waits: dict[str, str] = Field(default_factory=dict)
    again_in: float | None = Field(default=None, gt=0)

    def __add__(self, other: "Plan") -> "Plan":
        """Join two plans, in order."""
        soon = min((plan.again_in for plan in (self, other) if plan.again_in is not None), default=None)
        return Plan(proposals=self.proposals + other.proposals, waits={**self.waits, **other.waits}, again_in=soon)


class Room(Protocol):
    """A room of the loop. `propose` reads and decides but changes nothing; `perform` does one thing."""

    @property
    def name(self) -> str:
        """Return the room's name: the first word of its intents and events."""
        ...

    async def propose(self) -> Plan:
        """Gather facts and return what should be done; safe to call at any time."""
        ...

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Do one allowed thing; doing it twice is the same as doing it once."""
        ...


Rooms = Mapping[str, Room]
