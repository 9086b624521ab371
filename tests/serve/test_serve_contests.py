"""A contest at the servers: both adapters answer while it runs, and the releases answer before and after."""

import pytest
from serve_house import LINE

from flywheel.core.requests import Request
from flywheel.store.requests import answer_request, make_request

pytestmark = pytest.mark.asyncio


def contest(house, first, second, share=0.4):
    """Let a contest run, as rollout begins one."""
    body = {"second": second, "share": share, "hours": 24.0, "since": house.clock.now().isoformat(),
            "states": ["superseded", "active"]}  # fmt: skip
    with house.store.write() as session:
        make_request(
            session, Request(id="r1", kind="compare", line=LINE, subject=first, at=house.clock.now(), body=body)
        )


async def test_two_adapters_share_the_alias_while_a_contest_runs(stage):
    """Neither has to be active: both are loaded and answer by their shares, and then everything is as before."""
    async with stage() as house:
        old, newer = house.active(1), house.active(2)
        candidate = house.publish(3)
        house.move(candidate, "canary", "rolled back")
        await house.settle()
        assert house.pointed == {newer: 1.0}
        contest(house, old, candidate)
        await house.settle()
        assert house.pointed == {old: 0.6, candidate: 0.4}
        assert newer in house.servers[0].adapters
        with house.store.write() as session:
            answer_request(session, "r1", satisfied=True, answer="over")
        await house.settle()
        assert house.pointed == {newer: 1.0}


async def test_while_one_of_the_two_is_not_ready_the_releases_answer(stage):
    """A contestant that no server takes changes nothing for the agent."""
    async with stage() as house:
        active, candidate = house.active(1), house.publish(2)
        await house.settle()
        house.servers[0].load_status = 500
        house.servers[0].adapters.pop(candidate, None)
        contest(house, active, candidate)
        await house.cycle()
        await house.cycle()
        assert house.pointed == {active: 1.0}
