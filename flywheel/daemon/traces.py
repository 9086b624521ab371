"""The cycle as a trace: the whole of it, what each room proposed, and each thing that was done.

A span names the ledger's number of the decision that led to it, so that `flywheel explain` goes on where it ends.
"""

from collections.abc import Callable, Sequence

from flywheel.core.attempts import Attempt, Done
from flywheel.core.intents import Intent
from flywheel.core.rooms import Plan, Room
from flywheel.core.traces import NO_TRACER, Tracer
from flywheel.daemon.cycles import Cycle, CycleReport

_LONGEST = 500  # characters of a sentence


def traced(rooms: Sequence[Room], tracer: Tracer) -> Sequence[Room]:
    """Return the rooms, each telling what it does; the rooms themselves where nobody listens."""
    return rooms if tracer is NO_TRACER else [TracedRoom(room, tracer) for room in rooms]


class TracedRoom:
    """A room whose steps are spans."""

    def __init__(self, room: Room, tracer: Tracer) -> None:
        """Stand before a room."""
        self._room = room
        self._tracer = tracer

    @property
    def name(self) -> str:
        """Return the room's name."""
        return self._room.name

    async def propose(self) -> Plan:
        """Let the room look, and tell how many things it wants."""
        with self._tracer.within(f"{self.name}.propose") as span:
            plan = await self._room.propose()
            span.note({"flywheel.proposals": len(plan.proposals)})
            return plan

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Let the room do one thing, and tell how it ended."""
        said = {"flywheel.line": intent.line or None, "flywheel.subject": intent.subject, "flywheel.cause": cause}
        with self._tracer.within(intent.kind, said) as span:
            attempt = await self._room.perform(intent, cause)
            if isinstance(attempt, Done):
                span.note({"flywheel.changed": attempt.changed, "flywheel.sentence": attempt.sentence[:_LONGEST]})
            else:
                span.note({"flywheel.sentence": attempt.reason[:_LONGEST]})
                span.fail(type(attempt).__name__)
            return attempt


class TracedCycle:
    """A cycle that is one span."""

    def __init__(self, cycle: Cycle, tracer: Tracer) -> None:
        """Stand before a cycle."""
        self._cycle = cycle
        self._tracer = tracer

    async def run(self, *, dry_run: bool = False, stopping: Callable[[], bool] = lambda: False) -> CycleReport:
        """Run the cycle, and tell what came of it in numbers."""
        with self._tracer.within("cycle", {"flywheel.dry_run": dry_run}) as span:
            report = await self._cycle.run(dry_run=dry_run, stopping=stopping)
            span.note(
                {
                    "flywheel.done": len(report.done),
                    "flywheel.stopped": len(report.stopped),
                    "flywheel.failed": len(report.failed),
                }
            )
            return report
