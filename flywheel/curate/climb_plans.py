"""Decides which lines would climb the ladder; whether they may is what guardrails say. Pure."""

from flywheel.core.facts import Value
from flywheel.core.frozen import Frozen
from flywheel.core.intents import Intent
from flywheel.core.ladders import RUNGS
from flywheel.core.lines import Line
from flywheel.core.rooms import Plan, Proposal


class Climber(Frozen):
    """A line with the rung it stands on, the event that put it there, and the facts of its next step."""

    line: Line
    rung: int
    since: int = 0
    facts: dict[str, Value]

    @property
    def wants(self) -> int | None:
        """Return the rung it would climb to, one at a time; None at its highest."""
        return self.rung + 1 if self.rung < self.line.highest_rung else None


def plan(climbers: tuple[Climber, ...]) -> Plan:
    """Propose the next rung for every line that may climb further."""
    return Plan(proposals=tuple(_climb(one) for one in climbers if one.wants is not None))


def _climb(here: Climber) -> Proposal:
    rung, name = here.wants or here.rung, here.line.name
    why = f"it stands on rung {here.rung}, {RUNGS[here.rung]}, and may climb to {here.line.highest_rung}"
    intent = Intent(kind="curate.climb_rung", line=name, subject=name, why=why, params={"rung": rung})
    return Proposal(intent=intent, facts=here.facts, cause=here.since or None)
