"""Where the gateway listens and how it ends: at a socket that permissions guard, and at a second signal at once."""

import asyncio
import os
import signal
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from flywheel.core.errors import ConflictError, SettingsError
from flywheel.core.routing import Alias, Arm, Routing
from flywheel.gateway.doubles import UpstreamDouble
from flywheel.gateway.keys import KeyFile, gateway_key_file
from flywheel.gateway.run import serve_gateway
from flywheel.gateway.settings import GatewaySettings
from flywheel.serve.servers import gateway_state

pytestmark = pytest.mark.asyncio

CHAT = "/v1/chat/completions"


@pytest.fixture
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A path short enough for a socket."""
    return tmp_path_factory.mktemp("s") / "gateway.sock"


@asynccontextmanager
async def serving(settings: GatewaySettings) -> AsyncIterator[asyncio.Task[None]]:
    """The gateway's own life, in this process, until the block ends."""
    ready = asyncio.Event()
    task = asyncio.create_task(serve_gateway(settings, on_ready=ready.set))
    try:
        await asyncio.wait_for(ready.wait(), 10)
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def by_socket(path: Path) -> aiohttp.ClientSession:
    return aiohttp.ClientSession("http://gateway", connector=aiohttp.UnixConnector(str(path)))


async def ask(client: aiohttp.ClientSession, model: str = "b", *, stream: bool = False) -> tuple[int, bytes]:
    async with client.post(CHAT, json={"model": model, "messages": [], "stream": stream}) as response:
        return response.status, await response.read()


async def test_a_socket_is_guarded_by_its_permissions(tmp_path: Path, socket_path: Path) -> None:
    """Only the owner may open it, no key is asked for there, no port is opened, and it is gone in the end."""
    KeyFile(gateway_key_file(tmp_path)).add("laptop", datetime(2026, 1, 1, tzinfo=UTC))
    async with UpstreamDouble({"b"}).running() as upstream:
        settings = GatewaySettings(home=tmp_path, host="", socket=socket_path, upstreams=(upstream.origin,))
        async with serving(settings):
            assert stat.S_IMODE(socket_path.stat().st_mode) == 0o600
            async with by_socket(socket_path) as client:
                assert (await ask(client))[0] == 200
            state = await gateway_state(f"unix:{socket_path}")
            assert state is not None
            assert state["version"] == 0
    assert not socket_path.exists()


async def test_port_and_socket_side_by_side(tmp_path: Path, socket_path: Path) -> None:
    """Both are answered by one gateway; a key is asked for at the port alone."""
    key = KeyFile(gateway_key_file(tmp_path)).add("laptop", datetime(2026, 1, 1, tzinfo=UTC))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with UpstreamDouble({"b"}).running() as upstream:
        settings = GatewaySettings(home=tmp_path, port=port, socket=socket_path, upstreams=(upstream.origin,))
        async with serving(settings), aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            assert (await ask(client))[0] == 401
            client.headers["authorization"] = f"Bearer {key}"
            assert (await ask(client))[0] == 200
            async with by_socket(socket_path) as other:
                assert (await ask(other))[0] == 200


async def test_a_dead_socket_is_taken_over_and_a_living_one_is_not(tmp_path: Path, socket_path: Path) -> None:
    """What a killed gateway left behind is no hindrance; one that still listens is."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path))
    settings = GatewaySettings(home=tmp_path, host="", socket=socket_path, capture=False)
    async with serving(settings):
        with pytest.raises(ConflictError, match="listens at"):
            await serve_gateway(settings)
        async with by_socket(socket_path) as client, client.get("/health") as response:
            assert response.status == 200
    socket_path.write_text("mine")
    with pytest.raises(ConflictError, match="no socket at"):
        await serve_gateway(settings)
    assert socket_path.read_text() == "mine"


async def test_a_socket_that_cannot_be_is_said(tmp_path: Path) -> None:
    """Too long a path and an unknown group are settings to mend."""
    with pytest.raises(SettingsError, match="at most"):
        await serve_gateway(GatewaySettings(home=tmp_path, host="", socket=tmp_path / ("x" * 120), capture=False))
    settings = GatewaySettings(home=tmp_path, host="", socket=tmp_path / "s", socket_group="nobody-at-all")
    with pytest.raises((SettingsError, ConflictError)):
        await serve_gateway(settings)


async def test_a_group_may_be_let_in(tmp_path: Path, socket_path: Path) -> None:
    """The socket then belongs to the group, and its members may open it."""
    import grp

    group = grp.getgrgid(os.getgid()).gr_name
    settings = GatewaySettings(home=tmp_path, host="", socket=socket_path, socket_group=group, capture=False)
    async with serving(settings):
        found = socket_path.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, os.getgid())


async def test_a_second_signal_does_not_wait(tmp_path: Path, socket_path: Path) -> None:
    """At the first the stream goes on, at the second the process ends, and the client can tell."""
    async with UpstreamDouble({"b"}, chunks=1000, chunk_seconds=0.1).running() as upstream:
        settings = GatewaySettings(
            home=tmp_path, host="", socket=socket_path, upstreams=(upstream.origin,), drain_seconds=600
        )
        async with serving(settings) as task, by_socket(socket_path) as client:
            streaming = asyncio.create_task(ask(client, stream=True))
            while not upstream.streams_open:  # noqa: ASYNC110 - the double has no event
                await asyncio.sleep(0.01)
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
            assert not task.done()
            assert not streaming.done()
            signal.raise_signal(signal.SIGTERM)
            await asyncio.wait_for(task, 10)
            with pytest.raises(aiohttp.ClientError):
                await streaming


async def test_the_file_alone_is_enough(tmp_path: Path, socket_path: Path) -> None:
    """With neither daemon nor store a gateway that starts answers aliases, and goes on when the file goes, too."""
    async with UpstreamDouble({"b", "line@7"}).running() as upstream:
        alias = Alias(arms=(Arm(model="line@7", share=1.0, role="active"),))
        routing = Routing(version=3, upstreams=(upstream.origin,), base_model="b", aliases={"line": alias})
        (tmp_path / "routing.json").write_bytes(routing.dump())
        settings = GatewaySettings(home=tmp_path, host="", socket=socket_path, upstreams=("http://127.0.0.1:9",))
        async with serving(settings), by_socket(socket_path) as client:
            assert (await ask(client, "line"))[0] == 200
            assert {path.name for path in tmp_path.iterdir()} <= {
                "routing.json", "capture.db", "capture.db-wal", "capture.db-shm"
            }  # fmt: skip
            (tmp_path / "routing.json").unlink()
            for path in tmp_path.glob("capture.db*"):
                with suppress(FileNotFoundError):
                    path.unlink()
            await asyncio.sleep(0.2)
            assert (await ask(client, "line"))[0] == 200
            assert [seen.fields["model"] for seen in upstream.seen] == ["line@7", "line@7"]
