"""A paused line: asked for by a person, held by a guardrail, let go on by a person."""

from pathlib import Path

import pytest
from daemon_house import House, Scripted, proposal

from flywheel.core.steps import Steps
from flywheel.daemon.cycles import Cycle, CycleReport
from flywheel.daemon.pauses import Pausable, PauseRoom
from flywheel.policy.guardrails import PolicySet
from flywheel.policy.loading import load_policies
from flywheel.store.pauses import paused_lines
from flywheel.store.requests import request_by_id
from flywheel.store.wishes import Wish, write_wish

SHIPPED = load_policies(Path(__file__).parents[2] / "policies")
RAIL = PolicySet(guardrails=tuple(rail for rail in SHIPPED.guardrails if rail.name == "paused-line"))


class Paused:
    """A house with the room under test, one scripted room, and what a person asks."""

    def __init__(self, house: House, policies: PolicySet = RAIL) -> None:
        self.house, self.policies = house, policies
        self.train = Scripted(wants=[proposal()])
        room = PauseRoom(house.store, house.clock, ("l",), lambda: self.policies)
        rooms = [room, Pausable(self.train, house.store)]
        self.cycle = Cycle(house.store, house.clock, rooms, lambda: self.policies, Steps(None))

    async def ask(self, kind: str, line: str = "l") -> tuple[str, str]:
        """Ask, let a cycle go by, and return what became of it."""
        wish = Wish.model_validate({"kind": kind, "subject": line, "reason": "a look"})
        asked = write_wish(self.house.store, line, wish, "ann", self.house.clock.now())
        await self.run()
        with self.house.store.read() as session:
            answered = request_by_id(session, asked.id)
        assert answered is not None
        return answered.state, answered.answer

    async def run(self) -> CycleReport:
        """Run one cycle."""
        return await self.cycle.run()

    def lines(self) -> list[str]:
        """The lines that are paused."""
        with self.house.store.read() as session:
            return list(paused_lines(session))


@pytest.mark.asyncio
async def test_a_paused_line_starts_nothing_until_it_goes_on(house: House) -> None:
    """The run is held with the guardrail's reason, the wait names who paused, and after resuming it starts."""
    paused = Paused(house)
    assert (await paused.ask("pause"))[0] == "satisfied"
    assert paused.lines() == ["l"]
    assert paused.train.performed == []
    (held,) = house.events("policy.intent_held")
    assert "line.is_paused is true" in held.body["sentence"]
    assert held.body["facts"]["line.is_paused"] is True
    assert (await paused.run()).waits["l"][0] == "paused by ann: a look (`flywheel resume l`)"
    assert await paused.ask("resume") == ("satisfied", "l goes on")
    assert [subject for subject, _ in paused.train.performed] == ["run-1"]
    assert paused.lines() == []


@pytest.mark.asyncio
async def test_pausing_is_one_event_each_with_its_cause(house: House) -> None:
    """The ledger tells who paused and who let go on, each caused by the request."""
    paused = Paused(house)
    await paused.ask("pause")
    await paused.ask("pause")
    await paused.ask("resume")
    assert (await paused.ask("resume"))[1] == "l was not paused"
    asked = {event.seq: event.body["kind"] for event in house.events("operator.request_made")}
    told = house.events("operator.line_paused", "operator.line_resumed")
    assert [(event.kind, asked[event.cause or 0]) for event in told] == [
        ("operator.line_paused", "pause"), ("operator.line_paused", "pause"), ("operator.line_resumed", "resume"),
    ]  # fmt: skip


@pytest.mark.asyncio
async def test_a_pause_that_would_stop_nothing_is_refused(house: House) -> None:
    """Without a guardrail that reads the fact, or for an unknown line, the person is told so."""
    paused = Paused(house, PolicySet())
    state, answer = await paused.ask("pause")
    assert (state, "paused-line.toml" in answer) == ("refused", True)
    assert (await paused.ask("pause", "nothing"))[0] == "refused"
    assert paused.lines() == []
    assert paused.train.performed != []


@pytest.mark.asyncio
async def test_doing_it_twice_is_doing_it_once(house: House) -> None:
    """A crash after the transaction leaves a request that is answered: performing again changes nothing."""
    wish = Wish(kind="pause", subject="l")
    write_wish(house.store, "l", wish, "ann", house.clock.now())
    room = PauseRoom(house.store, house.clock, ("l",), lambda: RAIL)
    (asked,) = (await room.propose()).proposals
    first = await room.perform(asked.intent, asked.cause)
    again = await room.perform(asked.intent, asked.cause)
    assert (first.changed, again.changed) == (True, False)  # type: ignore[union-attr]
    assert len(house.events("operator.line_paused")) == 1
