"""The gateway as its own process: ready when it says so, gone when it is told, with nothing cut before its time."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from flywheel.core.errors import ConflictError
from flywheel.gateway.doubles import UpstreamDouble
from flywheel.gateway.run import serve_gateway
from flywheel.gateway.settings import GatewaySettings

pytestmark = pytest.mark.asyncio

_PROGRAM = """
import asyncio, sys
from flywheel.gateway.run import serve_gateway
from flywheel.gateway.settings import GatewaySettings
assert not {"torch", "sqlmodel", "sqlalchemy", "flywheel.store"} & set(sys.modules)
settings = GatewaySettings.model_validate_json(sys.argv[1])
asyncio.run(serve_gateway(settings, on_ready=lambda: print("READY", flush=True)))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def gateway(settings: GatewaySettings) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, settings.model_dump_json(), stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdout
    try:
        while b"READY" not in await asyncio.wait_for(process.stdout.readline(), 10):
            assert not process.stdout.at_eof()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def stream(port: int) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as client:
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        async with client.post(url, json={"model": "b", "messages": [], "stream": True}) as response:
            return response.status, await response.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_streams_end(tmp_path: Path, number: signal.Signals) -> None:
    """At a signal the port closes, the stream on its way ends whole, and the process ends with 0."""
    async with UpstreamDouble({"b"}, chunks=8, chunk_seconds=0.1).running() as upstream:
        settings = GatewaySettings(home=tmp_path, port=free_port(), upstreams=(upstream.origin,), drain_seconds=10)
        async with gateway(settings) as process:
            streaming = asyncio.create_task(stream(settings.port))
            while not upstream.streams_open:  # noqa: ASYNC110 - the double has no event
                await asyncio.sleep(0.01)
            process.send_signal(number)
            await asyncio.sleep(0.2)
            with pytest.raises(aiohttp.ClientConnectorError):
                await stream(settings.port)
            status, data = await streaming
            assert (status, data.endswith(b"[DONE]\n\n")) == (200, True)
            assert await asyncio.wait_for(process.wait(), 5) == 0


async def test_the_drain_is_bounded(tmp_path: Path) -> None:
    """A stream that does not end is cut when the time is up, and its client can tell."""
    async with UpstreamDouble({"b"}, chunks=1000, chunk_seconds=0.1).running() as upstream:
        settings = GatewaySettings(home=tmp_path, port=free_port(), upstreams=(upstream.origin,), drain_seconds=0.3)
        async with gateway(settings) as process:
            streaming = asyncio.create_task(stream(settings.port))
            while not upstream.streams_open:  # noqa: ASYNC110 - the double has no event
                await asyncio.sleep(0.01)
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 4) == 0
            with pytest.raises(aiohttp.ClientError):
                await streaming


async def test_a_taken_port_is_told(tmp_path: Path) -> None:
    """The error says which address and what to do."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        settings = GatewaySettings(home=tmp_path, port=holder.getsockname()[1], capture=False)
        with pytest.raises(ConflictError, match="set another one"):
            await serve_gateway(settings)
