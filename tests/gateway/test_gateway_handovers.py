"""A gateway that gives way to the next one: no request is lost, and one that fails to come changes nothing."""

import asyncio
import os
import re
import signal
import socket
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from flywheel.core.errors import ConflictError
from flywheel.daemon.notices import Notifier
from flywheel.gateway.doubles import UpstreamDouble
from flywheel.gateway.handovers import VARIABLE, predecessor
from flywheel.gateway.listeners import seen_by, systemd_sockets
from flywheel.gateway.openings import Opening
from flywheel.gateway.settings import GatewaySettings

_PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from flywheel.daemon.logs import configure_logs
from flywheel.daemon.notices import Notifier
from flywheel.gateway.run import serve_gateway
from flywheel.gateway.settings import GatewaySettings
configure_logs()
settings = GatewaySettings.model_validate_json(Path(sys.argv[1]).read_bytes())
ready = lambda: print("READY", os.getpid(), flush=True)
asyncio.run(serve_gateway(settings, on_ready=ready, words=Notifier()))
"""
_LISTEN = """
import os, sys
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
LONG = 30


class Life:
    """The processes that one gateway is, one after the other."""

    def __init__(self, process: asyncio.subprocess.Process, settings: GatewaySettings, url: str) -> None:
        """Begin with the first."""
        self.first, self.settings, self.url = process, settings, url
        self.pids: list[int] = []

    async def ready(self) -> int:
        """Wait until the next one is ready; return its process."""
        assert self.first.stdout
        line = await asyncio.wait_for(self.first.stdout.readline(), LONG)
        assert line.startswith(b"READY"), line
        self.pids.append(int(line.split()[1]))
        return self.pids[-1]

    async def hand_over(self) -> int:
        """Ask for the next one and wait until it is there."""
        os.kill(self.pids[-1], signal.SIGHUP)
        return await self.ready()

    def end(self) -> None:
        """End them all."""
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def state(self) -> dict[str, object]:
        """What the gateway says of itself, by a connection of its own."""
        async with aiohttp.ClientSession() as client, client.get(f"{self.url}/flywheel/routing") as response:
            found: dict[str, object] = await response.json()
            return found


@asynccontextmanager
async def gateway(
    folder: Path, upstream: UpstreamDouble, *, activated: bool = False, notify: str = "", **more: object
) -> AsyncIterator[Life]:
    """A gateway as a process, with its own port or with one that was opened for it."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    values = {"home": folder, "port": port, "upstreams": (upstream.origin,), "base_model": "b", **more}
    settings = GatewaySettings.model_validate(values)
    (folder / "settings.json").write_text(settings.model_dump_json())
    before = ["-c", _LISTEN, str(listener.fileno())] if activated else []
    fds = [listener.fileno()] if activated else []
    if not activated:
        listener.close()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *before, "-c", _PROGRAM, str(folder / "settings.json"), stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2], pass_fds=fds, env={**os.environ, "NOTIFY_SOCKET": notify},
    )  # fmt: skip
    listener.close()
    life = Life(process, settings, f"http://127.0.0.1:{port}")
    try:
        await life.ready()
        yield life
    finally:
        life.end()
        await process.communicate()


async def ask(client: aiohttp.ClientSession, *, stream: bool = False) -> bytes:
    body = {"model": "b", "messages": [{"role": "user", "content": "hello"}], "stream": stream}
    async with client.post("/v1/chat/completions", json=body) as response:
        assert response.status == 200
        return await response.read()


async def gone(pid: int) -> None:
    """Wait until a process is gone."""
    async with asyncio.timeout(LONG):
        while True:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            if re.search(r"^State:\s+Z", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE):
                return
            await asyncio.sleep(0.02)


@pytest.mark.asyncio
@pytest.mark.parametrize("activated", [False, True], ids=["own port", "systemd's socket"])
async def test_no_request_is_lost_while_one_gateway_follows_the_other(tmp_path: Path, *, activated: bool) -> None:
    """Fresh and kept connections and a long stream go on through two handovers; every call is captured, once."""
    async with (
        UpstreamDouble({"b"}, chunks=30, chunk_seconds=0.1).running() as upstream,
        gateway(tmp_path, upstream, activated=activated) as life,
        aiohttp.ClientSession(life.url) as kept,
    ):
        first = life.pids[0]
        streaming = asyncio.create_task(ask(kept, stream=True))
        while not upstream.streams_open:  # noqa: ASYNC110 - the double has no event
            await asyncio.sleep(0.01)
        asked, over = 1, asyncio.Event()

        async def worker(*, fresh: bool) -> None:
            nonlocal asked
            async with aiohttp.ClientSession(life.url, connector=aiohttp.TCPConnector(force_close=fresh)) as client:
                while not over.is_set():
                    await ask(client)
                    asked += 1

        workers = [asyncio.create_task(worker(fresh=fresh)) for fresh in (True, False, True, False)]
        await life.hand_over()
        assert not streaming.done()
        assert (await life.state())["in_flight"]["b"] >= 1, "what the old gateway has on its way is told by the new"
        await life.hand_over()
        over.set()
        await asyncio.gather(*workers)
        assert (await streaming).endswith(b"[DONE]\n\n")
        await gone(first)
        assert asked > 8
        assert len(set(life.pids)) == 3
        os.kill(life.pids[-1], signal.SIGTERM)
        await gone(life.pids[-1])
        with sqlite3.connect(tmp_path / "capture.db") as capture:
            assert capture.execute("SELECT count(*), count(DISTINCT id) FROM calls").fetchone() == (asked, asked)


@pytest.mark.asyncio
async def test_one_that_cannot_begin_changes_nothing(tmp_path: Path) -> None:
    """When the new process refuses its settings the old one serves on, says so, and can be asked again."""
    async with UpstreamDouble({"b"}).running() as upstream, gateway(tmp_path, upstream) as life:
        file = tmp_path / "settings.json"
        good = file.read_text()
        file.write_text("{}")
        os.kill(life.pids[0], signal.SIGHUP)
        async with aiohttp.ClientSession(life.url) as client:
            for _ in range(5):
                await ask(client)
                await asyncio.sleep(0.05)
            file.write_text(good)
            while len(life.pids) == 1:
                with suppress(TimeoutError):
                    os.kill(life.pids[0], signal.SIGHUP)
                    await asyncio.wait_for(life.ready(), 2)
            await ask(client)
        await gone(life.pids[0])


@pytest.mark.asyncio
async def test_systemd_learns_who_goes_on(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The old process tells systemd of a reload and then of the new one, which is nobody's child by then."""
    notify = tmp_path_factory.mktemp("n") / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as words:
        words.bind(str(notify))
        words.setblocking(False)
        async with UpstreamDouble({"b"}).running() as upstream, gateway(tmp_path, upstream, notify=str(notify)) as life:
            fresh = await life.hand_over()
            await gone(life.pids[0])
            heard = b"\n".join(words.recv(4096) for _ in range(4)).decode()
            parent = re.search(r"^PPid:\s+(\d+)", Path(f"/proc/{fresh}/status").read_text(), re.MULTILINE)
            assert parent
            assert int(parent[1]) not in {life.pids[0], os.getpid()}
    assert re.search(rf"READY=1.*RELOADING=1.*MAINPID={fresh}\nREADY=1", heard, re.DOTALL)


@pytest.mark.asyncio
async def test_a_stop_ends_both(tmp_path: Path) -> None:
    """A stop during a handover lets both end in their time; the port is free then."""
    async with (
        UpstreamDouble({"b"}, chunks=1000, chunk_seconds=0.1).running() as upstream,
        gateway(tmp_path, upstream, drain_seconds=0.3) as life,
        aiohttp.ClientSession(life.url) as client,
    ):
        streaming = asyncio.create_task(ask(client, stream=True))
        while not upstream.streams_open:  # noqa: ASYNC110 - the double has no event
            await asyncio.sleep(0.01)
        await life.hand_over()
        for pid in life.pids:
            os.kill(pid, signal.SIGTERM)
        for pid in life.pids:
            await gone(pid)
        with pytest.raises(aiohttp.ClientError):
            await streaming
        socket.create_server(("127.0.0.1", life.settings.port)).close()


@pytest.mark.asyncio
async def test_a_socket_of_ours_is_handed_on_and_gone_in_the_end(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The Unix socket stays where it is, as closed as it was, and is removed by the last gateway."""
    path = tmp_path_factory.mktemp("s") / "gateway.sock"
    async with UpstreamDouble({"b"}).running() as upstream, gateway(tmp_path, upstream, host="", socket=path) as life:
        inode = path.stat().st_ino
        await life.hand_over()
        await gone(life.pids[0])
        assert (path.stat().st_ino, stat.S_IMODE(path.stat().st_mode)) == (inode, 0o600)
        async with aiohttp.ClientSession("http://gateway", connector=aiohttp.UnixConnector(str(path))) as client:
            await ask(client)
        os.kill(life.pids[-1], signal.SIGTERM)
        await gone(life.pids[-1])
        assert not path.exists()


def test_sockets_decide_who_can_knock(tmp_path: Path) -> None:
    """An open socket that is handed over asks for keys whatever the settings say; a Unix socket alone opens no port."""
    settings = GatewaySettings(home=tmp_path, port=8711)
    with socket.create_server(("", 0)) as everywhere, socket.create_server(("127.0.0.1", 0)) as here:
        seen = seen_by(settings, [here, everywhere])
        assert (seen.is_exposed, seen.port) == (True, everywhere.getsockname()[1])
        assert not seen_by(settings, [here]).is_exposed
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "s"))
        seen = seen_by(settings, [other])
        assert (seen.host, seen.socket) == ("", tmp_path / "s")
    assert seen_by(settings, []) == settings


def test_only_what_is_meant_for_us_is_taken() -> None:
    """Sockets of another process are none of ours, and what was taken is not handed on to children by accident."""
    other = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDNAMES": "x", "A": "b"}
    assert systemd_sockets(other) == []
    assert other == {"A": "b"}
    assert predecessor({}) is None
    with socket.create_server(("127.0.0.1", 0)) as server:
        line, fd = os.dup(server.fileno()), os.dup(server.fileno())
        environ = {VARIABLE: f"lent,{line},{fd}"}
        before = predecessor(environ)
        assert before is not None
        assert (before.owned, len(before.sockets), environ) == (False, 1, {})
        assert not os.get_inheritable(fd)
        before.sockets[0].close()
        before._line.close()


@pytest.mark.asyncio
async def test_systemds_file_is_left_to_systemd(tmp_path: Path) -> None:
    """A socket that systemd opened stays when the gateway ends."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        place = Opening(GatewaySettings(home=tmp_path, host="", socket=tmp_path / "s"), None, [listener])
        assert await place.open() == [listener]
        place.close()
    assert (tmp_path / "s").exists()
    with pytest.raises(ConflictError):
        await Opening(GatewaySettings(home=tmp_path, host="192.0.2.1", capture=False), None, []).open()


def test_words_of_a_successor() -> None:
    """One datagram says who it is and that it is ready."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as words:
        words.bind("\0flywheel-test-" + str(os.getpid()))
        Notifier("@flywheel-test-" + str(os.getpid())).succeeded(7, "answering\nx")
        assert words.recv(200) == b"MAINPID=7\nREADY=1\nSTATUS=answering x"
