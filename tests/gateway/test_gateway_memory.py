"""Requests leave nothing behind in memory: neither in the gateway nor in the process that writes its capture.

`FLYWHEEL_SOAK=1 pytest tests/gateway/test_gateway_memory.py -s` sends 100,000 requests and prints what was held.
"""

import asyncio
import json
import os
from pathlib import Path

import aiohttp
import pytest
from test_gateway_process import free_port, gateway

from flywheel.core.routing import Alias, Arm, Routing
from flywheel.gateway.doubles import UpstreamDouble
from flywheel.gateway.settings import GatewaySettings

SOAK = bool(os.environ.get("FLYWHEEL_SOAK"))
PARTS, PART = (20, 5000) if SOAK else (5, 300)
AT_ONCE = 32
GROWN_MIB = 8.0

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(1800 if SOAK else 300)]


def held(pid: int) -> float:
    """Return the MiB of a process and its children, whichever thread began them."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [child for task in tasks for child in task.read_text(encoding="utf-8").split()]
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024 + sum(held(int(child)) for child in children)


async def ask(client: aiohttp.ClientSession, number: int) -> None:
    text = f"question {number} " * (1 + number % 200)
    fields = {"model": "line", "messages": [{"role": "user", "content": text}], "stream": number % 5 == 0}
    headers = {"x-session-id": f"s{number}"}
    async with client.post("/v1/chat/completions", data=json.dumps(fields), headers=headers) as response:
        assert response.status == 200
        await response.read()


async def send(client: aiohttp.ClientSession, first: int, count: int) -> None:
    numbers = iter(range(first, first + count))

    async def work() -> None:
        for number in numbers:
            await ask(client, number)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def captured(client: aiohttp.ClientSession) -> int:
    """Return how many calls were captured, once none waits."""
    while True:
        async with client.get("/flywheel/routing") as response:
            capture = (await response.json())["capture"]
        assert (capture["dropped"], capture["trouble"]) == (0, None)
        if not capture["waiting"]:
            return int(capture["written"])
        await asyncio.sleep(0.05)


async def test_memory_is_flat_over_many_requests(tmp_path: Path) -> None:
    """After the first parts have warmed everything up, thousands of requests and streams more change nothing."""
    async with UpstreamDouble({"b", "line@1", "line@2"}).running() as upstream:
        alias = Alias(
            arms=(Arm(model="line@1", share=0.8, role="active"), Arm(model="line@2", share=0.2, role="canary"))
        )
        routing = Routing(version=1, upstreams=(upstream.origin,), base_model="b", aliases={"line": alias})
        (tmp_path / "routing.json").write_bytes(routing.dump())
        settings = GatewaySettings(home=tmp_path, port=free_port(), upstreams=(upstream.origin,), base_model="b")
        async with gateway(settings) as process, aiohttp.ClientSession(f"http://127.0.0.1:{settings.port}") as client:
            amounts = []
            for part in range(PARTS):
                await send(client, part * PART, PART)
                assert await captured(client) == (part + 1) * PART
                upstream.seen.clear()
                amounts.append(held(process.pid))
            print(f"\nMiB after each {PART} requests: {', '.join(f'{amount:.1f}' for amount in amounts)}")
    assert amounts[-1] - amounts[PARTS // 5] < GROWN_MIB
