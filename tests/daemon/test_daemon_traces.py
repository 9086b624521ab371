"""A cycle as a trace: rooms and what they do are its parts, and being watched changes nothing."""

from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from flywheel.core.attempts import Attempt, Done, Retry
from flywheel.core.clocks import ManualClock
from flywheel.core.intents import Intent
from flywheel.core.rooms import Plan, Proposal
from flywheel.core.steps import Steps
from flywheel.core.traces import NO_TRACER, TelemetrySection
from flywheel.daemon.cycles import Cycle
from flywheel.daemon.traces import TracedCycle, traced
from flywheel.policy.guardrails import PolicySet
from flywheel.proc.telemetry import open_tracer
from flywheel.store.stores import open_store, sqlite_url

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Room:
    """A room that wants two things: one succeeds, one is to be tried again."""

    name = "train"

    async def propose(self) -> Plan:
        """Want both."""
        intents = [Intent(kind="train.start_run", line="code", subject=f"run-{n}", why="w") for n in (1, 2)]
        return Plan(proposals=tuple(Proposal(intent=intent, cause=7) for intent in intents))

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Do the first."""
        if intent.subject == "run-1":
            return Done(sentence="started run-1")
        return Retry(at=NOON, reason="the GPU is away")


@pytest.mark.asyncio
async def test_a_cycle_is_one_trace(tmp_path: Any) -> None:
    """Cycle, look and both attempts are one tree; the attempt that failed is marked; the report is what it was."""
    exporter = InMemorySpanExporter()
    tracer = open_tracer(TelemetrySection(), "flywheel-daemon", exporter)
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store:
        rooms = traced([Room()], tracer)
        cycle = Cycle(store, ManualClock(NOON), rooms, PolicySet, Steps(None))
        report = await TracedCycle(cycle, tracer).run()
    tracer.close()
    assert (len(report.done), len(report.failed)) == (1, 1)
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == ["train.propose", "train.start_run", "train.start_run", "cycle"]
    assert len({span.context.trace_id for span in spans}) == 1
    look, good, bad, whole = spans
    assert {span.parent.span_id for span in (look, good, bad)} == {whole.context.span_id}
    assert look.attributes == {"flywheel.proposals": 2}
    assert good.attributes["flywheel.line"] == "code"
    assert (good.attributes["flywheel.subject"], good.attributes["flywheel.cause"]) == ("run-1", 7)
    assert (bad.status.description, bad.attributes["flywheel.sentence"]) == ("Retry", "the GPU is away")
    assert (whole.attributes["flywheel.done"], whole.attributes["flywheel.failed"]) == (1, 1)


def test_without_a_tracer_the_rooms_are_themselves() -> None:
    """Nothing stands between cycle and room where nobody listens."""
    rooms = [Room()]
    assert traced(rooms, NO_TRACER) is rooms
