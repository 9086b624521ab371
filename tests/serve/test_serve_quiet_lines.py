"""A line may say that nobody keeps what it is asked: the gateway is told with the next version of the routing."""

import pytest
from serve_house import LINE

from flywheel.core.routing import Routing

pytestmark = pytest.mark.asyncio


async def test_a_line_without_capture_tells_the_gateway_so(stage):
    """`capture = false` in the line's file reaches the routing, with a canary and without; taken back, it is unsaid."""
    async with stage() as house:
        first, second = house.active(1), house.publish(2)
        await house.settle()
        assert b"capture" not in house.routing_file.read_bytes()
        house.lines[LINE] = house.lines[LINE].model_copy(update={"capture": False})
        await house.settle()
        assert Routing.parse(house.routing_file.read_bytes()).aliases[LINE].capture is False
        house.move(second, "canary")
        await house.settle()
        assert Routing.parse(house.routing_file.read_bytes()).aliases[LINE].capture is False
        assert house.pointed == {second: 0.2, first: 0.8}
        house.lines[LINE] = house.lines[LINE].model_copy(update={"capture": True})
        await house.settle()
        assert b"capture" not in house.routing_file.read_bytes()
