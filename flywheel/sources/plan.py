"""Decides which sources to read now. Pure."""

from flywheel.core.intents import Intent
from flywheel.core.rooms import Plan, Proposal
from flywheel.sources.facts import Situation, SourceSituation

CAPTURE = "capture"


def plan(situation: Situation) -> Plan:
    """Propose to read what changed, came back or is to be read anew; a known problem is only waited for."""
    waits = {
        line: f"source {source.name} cannot be read: it {source.problem}"
        for source in situation.sources
        if source.problem
        for line in source.lines
    }
    proposals = tuple(_proposal(source) for source in situation.sources if (_why(source)))
    return Plan(proposals=proposals, waits=waits)


def _proposal(source: SourceSituation) -> Proposal:
    params = {"kind": source.kind, "full": True} if source.full else {"kind": source.kind}
    return Proposal(
        intent=Intent(kind="sources.ingest_outcomes", subject=source.name, why=_why(source) or "", params=params)
    )


def _why(source: SourceSituation) -> str | None:
    if source.problem:
        return None if source.problem == source.recorded else "it cannot be read, and nobody was told yet"
    if source.recorded:
        return "it can be read again"
    if source.full:
        return "all of it is to be read again"
    return "it was changed" if source.changed else None
