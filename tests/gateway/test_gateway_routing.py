"""The routing file: taken whole and soon, kept when it is bad, flipped under load without a loss."""

import asyncio
import json
from collections import Counter

import pytest
from gateway_house import House
from structlog.testing import capture_logs

from flywheel.gateway.routes import POLL_SECONDS, RoutingTable
from flywheel.gateway.settings import GatewaySettings

pytestmark = pytest.mark.asyncio


async def test_a_new_routing_is_in_force_soon(house: House) -> None:
    """A flip takes well under a second from the rename to the next request."""
    await house.start()
    routing = house.routing()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await house.apply(routing)
    assert loop.time() - began < 0.5
    assert (await house.chat())[0].status == 200


async def test_a_routing_that_was_there_before_the_start_applies_at_once(house: House) -> None:
    """The very first request is answered by the file's routing."""
    await house.start()
    routing = house.routing()
    settings = GatewaySettings(home=house.home)
    house.write(routing.dump())
    table = RoutingTable(settings.routing_file, settings.first_routing())
    assert table.refresh()
    assert table.current == routing


@pytest.mark.parametrize("bad", [b"", b"{", b'{"version": 9}', b"\xff\xfe\x00", b"[" * 5000, None])
async def test_a_bad_routing_changes_nothing(house: House, bad: bytes | None) -> None:
    """A malformed or missing file keeps the last good routing, is logged once, and the next good one is taken."""
    await house.start()
    await house.apply(house.routing())
    with capture_logs() as logs:
        if bad is None:
            (house.home / "routing.json").unlink()
        else:
            house.write(bad)
        await asyncio.sleep(POLL_SECONDS * 5)
        assert (await house.chat())[0].headers["x-flywheel-arm"] == "active"
    assert [entry["event"] for entry in logs].count("gateway.routing_rejected") == 1
    await house.apply(house.routing(1.0))
    assert (await house.chat())[0].headers["x-flywheel-arm"] == "canary"


async def test_flips_under_load_lose_no_request(house: House) -> None:
    """A hundred flips while requests run: every one is answered, by a release that its alias pointed at."""
    await house.start()
    await house.apply(house.routing())
    statuses: Counter[tuple[int, str]] = Counter()
    flipping = True

    async def ask(worker: int) -> None:
        turn = 0
        while flipping:
            turn += 1
            response, body = await house.chat(headers={"x-session-id": f"{worker}-{turn}"}, stream=bool(turn % 2))
            assert body.endswith(b"[DONE]\n\n") if turn % 2 else json.loads(body)
            statuses[response.status, response.headers["x-flywheel-model"]] += 1

    workers = [asyncio.create_task(ask(number)) for number in range(8)]
    for flip in range(100):
        house.write(house.routing(1.0 if flip % 2 else 0.0).dump())
        await asyncio.sleep(0.03)
    await house.until(lambda: house.station.routes.current.version == house.version)
    flipping = False
    await asyncio.gather(*workers)
    assert {status for status, _ in statuses} == {200}
    assert len(statuses) == 2
    assert statuses.total() > 300
    assert len(await house.rows(statuses.total())) == statuses.total()
    assert house.station.in_flight.models() == {}
