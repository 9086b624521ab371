"""The door in front of llama-server: names instead of numbers, loading by a restart that no call notices."""

import asyncio
import json
import os
import shlex
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from serve_house import LINE

from flywheel.core.clocks import SystemClock
from flywheel.core.errors import UnavailableError
from flywheel.core.routing import Routing
from flywheel.serve.llama_commands import Held, Shelf, command_line, filled, numbers, script, with_scales
from flywheel.serve.llama_doors import llama_door
from flywheel.serve.llama_servers import LlamaServer, LlamaSite

WORD = "the daemon's"
HEADERS = {"x-flywheel-token": WORD}
ONE, TWO = (Held(name=f"a@{n}", path=f"/a/{n}", gguf=f"/g/a@{n}.gguf") for n in (1, 2))

# A supervisor in a dozen lines: ends the process it began last, and begins the one that the script says.
RESTART = """
import os, signal, socket, subprocess, sys, time
folder = sys.argv[1]
pid_file = os.path.join(folder, "pid")
if os.path.exists(pid_file):
    pid = int(open(pid_file).read())
    try:
        os.killpg(pid, signal.SIGTERM)
        while True:
            os.killpg(pid, 0)
            time.sleep(0.02)
    except ProcessLookupError:
        pass
child = subprocess.Popen(["sh", os.path.join(folder, "start.sh")], start_new_session=True,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
open(pid_file, "w").write(str(child.pid))
while child.poll() is None:
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[2])), 5).close()
        sys.exit()
    except OSError:
        time.sleep(0.02)
sys.exit("it ended at once")
"""
CONVERT = """
import json, sys
config = json.load(open(sys.argv[1] + "/adapter_config.json"))
if config.get("bias") == "all":
    sys.exit("cannot convert biases")
open(sys.argv[2], "wb").write(b"GGUFbroken" if config.get("lora_alpha") == 13 else b"GGUF " + sys.argv[1].encode())
"""


def free_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class LlamaHouse:
    """A double of llama-server under a supervisor of a few lines, and the door before it."""

    def __init__(self, home, seconds=0.0):
        self.folder = home / "llama"
        self.folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        for name, text in {"restart.py": RESTART, "convert.py": CONVERT}.items():
            (home / name).write_text(text)
        double = (sys.executable, "-m", "flywheel.serve.llama_doubles", "-m", "base.gguf", "-a", "tiny-base",
                  "--port", str(port), "--seconds", str(seconds))  # fmt: skip
        self.site = LlamaSite(
            folder=self.folder, url=f"http://127.0.0.1:{port}", served_as="tiny-base", base=home / "base",
            command=double, restart=(sys.executable, str(home / "restart.py"), str(self.folder), str(port)),
            convert=(sys.executable, str(home / "convert.py"), "{adapter}", "{gguf}"),
            start_seconds=60.0, drain_seconds=60.0,
        )  # fmt: skip
        self.url = ""
        self._session = None

    @asynccontextmanager
    async def running(self):
        """Start the server as a unit would, and the door."""
        async with llama_door(self.site, SystemClock(), lambda: WORD) as app, aiohttp.ClientSession() as self._session:
            await asyncio.to_thread(subprocess.run, self.site.restart, check=True)
            runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                for _ in range(1200):
                    if (await self.get("/health"))[0] == 200:
                        break
                    await asyncio.sleep(0.05)
                yield self
            finally:
                await runner.cleanup()
                self.kill()

    def kill(self):
        """End the server, as a crash does."""
        with suppress(ProcessLookupError, FileNotFoundError):
            os.killpg(int((self.folder / "pid").read_text()), 9)

    async def get(self, path):
        """Return status and text of a GET."""
        async with self._session.get(self.url + path) as response:
            return response.status, await response.text()

    async def post(self, path, headers=HEADERS, **fields):
        """Return status and text of a POST; with the daemon's token unless told otherwise."""
        async with self._session.post(self.url + path, json=fields, headers=headers) as response:
            return response.status, await response.text()

    async def load(self, name, folder):
        """Ask for an adapter, as the daemon does."""
        return await self.post("/v1/load_lora_adapter", lora_name=name, lora_path=str(folder))

    async def says(self, model, **more):
        """Return who answers for a model; of a stream all its words."""
        fields = {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}
        status, text = await self.post("/v1/chat/completions", {}, **fields)
        if status != 200:
            return str(status)
        if not more.get("stream"):
            return json.loads(text)["choices"][0]["message"]["content"]
        lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
        return "".join(json.loads(line)["choices"][0]["delta"]["content"] for line in lines)

    async def listed(self):
        """Return what the door lists, with where it came from."""
        return {card["id"]: card["root"] for card in json.loads((await self.get("/v1/models"))[1])["data"]}

    @property
    def command(self):
        """The command line that the script becomes."""
        return shlex.split((self.folder / "start.sh").read_text().splitlines()[-1])


def adapter(home, number, **config):
    """Write what a converter looks at."""
    folder = home / "adapters" / str(number)
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"r": 2, **config}))
    return folder


def test_the_command_line_names_every_adapter_in_order():
    """The operator's command first, unchanged; what needs quotes is quoted; the base stays the base."""
    shelf = Shelf().having(ONE).having(TWO)
    command = ("llama-server", "-m", "/a b/base.gguf")
    assert command_line(command, shelf) == [
        *command, "--lora", ONE.gguf, "--lora", TWO.gguf, "--lora-init-without-apply"]  # fmt: skip
    assert command_line(command, Shelf()) == list(command)
    last = script(command, shelf).decode().splitlines()[-1]
    assert shlex.split(last) == ["exec", *command_line(command, shelf)]
    assert shelf.without("a@1").ggufs == [TWO.gguf]
    assert shelf.having(ONE).ggufs == [TWO.gguf, ONE.gguf]


def test_numbers_are_those_the_server_lists_or_none():
    """A server that holds more, less or something else than was written has no numbers to be trusted."""
    shelf = Shelf(held=(ONE, TWO))
    listed = [{"id": 1, "path": ONE.gguf}, {"id": 0, "path": TWO.gguf}]
    assert numbers(listed, shelf) == {"a@1": 1, "a@2": 0}
    for wrong in ([], listed[:1], [*listed, {"id": 2, "path": "x"}], [listed[0], {"id": 0, "path": "x"}]):
        assert numbers(wrong, shelf) is None


def test_every_scale_is_said():
    """A request's adapter has scale 1 and every other 0, whatever a client put there itself."""
    fields = {"model": "a@2", "lora": [{"id": 0, "scale": 9}]}
    assert with_scales(fields, 1, 2)["lora"] == [{"id": 0, "scale": 0.0}, {"id": 1, "scale": 1.0}]
    assert with_scales(fields, None, 2)["lora"] == [{"id": 0, "scale": 0.0}, {"id": 1, "scale": 0.0}]
    assert with_scales(fields, None, 0) == {"model": "a@2"}
    places = (Path("/a"), Path("/b"), Path("/g"))
    assert filled(["c", "{adapter}", "--base", "{base}", "{gguf}"], *places) == ["c", "/a", "--base", "/b", "/g"]


@pytest.mark.asyncio
async def test_an_adapter_is_loaded_by_a_restart_and_asked_by_its_name(tmp_path):
    """As with vLLM: 404 before, 200 after, the base is the base, an unloaded name is gone at once."""
    async with LlamaHouse(tmp_path).running() as house:
        one, two = adapter(tmp_path, 1), adapter(tmp_path, 2)
        assert (await house.says("tiny-base"), await house.says("line@1")) == ("tiny-base speaks", "404")
        assert (await house.load("line@1", one))[0] == (await house.load("line@2", two))[0] == 200
        assert await house.listed() == {"tiny-base": str(tmp_path / "base"), "line@1": str(one), "line@2": str(two)}
        assert [await house.says(name) for name in ("line@1", "line@2", "tiny-base")] == [
            "line@1 speaks", "line@2 speaks", "tiny-base speaks"]  # fmt: skip
        assert await house.says("line@2", stream=True) == "line@2 speaks "
        assert house.command.count("--lora") == 2
        assert (await house.load("line@1", one))[0] == 400
        assert (await house.post("/v1/unload_lora_adapter", lora_name="line@1"))[0] == 200
        assert (await house.says("line@1"), await house.says("line@2")) == ("404", "line@2 speaks")
        assert (await house.load("line@3", adapter(tmp_path, 3)))[0] == 200
        assert [word for word in house.command if word.endswith(".gguf") and "@" in word] == [
            str(house.folder / "line@2.gguf"), str(house.folder / "line@3.gguf")]  # fmt: skip
        assert not (house.folder / "line@1.gguf").exists()
        assert [await house.says(name) for name in ("line@2", "line@3")] == ["line@2 speaks", "line@3 speaks"]


@pytest.mark.asyncio
async def test_what_cannot_be_held_costs_nobody_an_answer(tmp_path):
    """No converter's file, no restart; a server that does not start with it starts again without it."""
    async with LlamaHouse(tmp_path).running() as house:
        assert (await house.load("line@1", adapter(tmp_path, 1)))[0] == 200
        before = house.command
        status, text = await house.load("line@2", adapter(tmp_path, 2, bias="all"))
        assert (status, "cannot convert biases" in text) == (500, True)
        assert house.command == before
        status, text = await house.load("line@3", adapter(tmp_path, 3, lora_alpha=13))
        assert (status, "does not start with it" in text) == (500, True)
        assert house.command == before
        assert await house.says("line@1") == "line@1 speaks"
        assert (await house.load("line@4", tmp_path / "nowhere"))[0] == 404
        assert (await house.load("no number", adapter(tmp_path, 5)))[0] == 400
        assert (await house.load("line@6", "relative"))[0] == 400


@pytest.mark.asyncio
async def test_a_server_that_never_answers_gets_its_old_script_back(tmp_path):
    """After `start_seconds` without an answer the adapters of before are written again, and it is tried later."""
    house = LlamaHouse(tmp_path)
    site = LlamaSite(**{**vars(house.site), "start_seconds": 0.2, "restart": ("true",)})
    async with aiohttp.ClientSession() as session:
        server = LlamaServer(site, SystemClock(), session)
        server.prepare()
        with pytest.raises(UnavailableError, match="does not answer with what was written"):
            await server.start_with(Shelf(held=(ONE,)))
    assert server.shelf == Shelf()
    assert house.command == ["exec", *site.command]


@pytest.mark.asyncio
async def test_calls_wait_for_the_restart_and_none_is_lost_or_mixed(tmp_path):
    """Streams on their way end whole, calls that come wait, and each is answered by the one it asked for."""
    async with LlamaHouse(tmp_path, seconds=0.02).running() as house:
        assert (await house.load("line@1", adapter(tmp_path, 1)))[0] == 200
        done, stop = [], asyncio.Event()

        async def client(number):
            while not stop.is_set():
                model = ("line@1", "tiny-base")[number % 2]
                done.append((model, (await house.says(model, stream=bool(number % 3))).strip()))

        clients = [asyncio.create_task(client(number)) for number in range(6)]
        for number in (2, 3):
            assert (await house.load(f"line@{number}", adapter(tmp_path, number)))[0] == 200
            await house.post("/v1/unload_lora_adapter", lora_name=f"line@{number}")
        stop.set()
        await asyncio.gather(*clients)
        assert len(done) > 12
        assert {words for _, words in done} == {"line@1 speaks", "tiny-base speaks"}
        assert all(words == f"{model} speaks" for model, words in done)


@pytest.mark.asyncio
async def test_a_server_that_crashed_is_what_it_was_when_it_is_back(tmp_path):
    """The script outlives the server and the door: both come back with every name."""
    house = LlamaHouse(tmp_path)
    async with house.running():
        assert (await house.load("line@1", adapter(tmp_path, 1)))[0] == 200
        house.kill()
        assert (await house.get("/health"))[0] == (await house.get("/v1/models"))[0] == 503
        with pytest.raises(aiohttp.ClientError):
            await house.says("line@1")
        await asyncio.to_thread(subprocess.run, house.site.restart, check=True)
        for _ in range(1200):
            if (await house.get("/health"))[0] == 200:
                break
            await asyncio.sleep(0.05)
        assert await house.says("line@1") == "line@1 speaks"
    async with house.running():
        assert (await house.says("line@1"), list(await house.listed())) == ("line@1 speaks", ["tiny-base", "line@1"])


@pytest.mark.asyncio
async def test_a_door_that_died_between_writing_and_restarting_is_mended(tmp_path):
    """What is written is what is meant: a server with other adapters is started anew."""
    house = LlamaHouse(tmp_path)
    async with house.running():
        assert (await house.load("line@1", adapter(tmp_path, 1)))[0] == 200
        await asyncio.to_thread(house.kill)
        plain = [*house.site.command]
        child = await asyncio.create_subprocess_exec(*plain, start_new_session=True)  # without its adapters
        (house.folder / "pid").write_text(str(child.pid))
        for _ in range(1200):
            with suppress(aiohttp.ClientError):
                if await house.says("line@1") == "line@1 speaks":
                    break
            await asyncio.sleep(0.05)
        assert await house.says("line@1") == "line@1 speaks"
        await child.wait()


@pytest.mark.asyncio
async def test_only_the_daemon_loads(tmp_path):
    """Without the token nothing is loaded or unloaded, and agents need none."""
    async with LlamaHouse(tmp_path).running() as house:
        fields = {"lora_name": "line@1", "lora_path": str(adapter(tmp_path, 1))}
        for headers in ({}, {"x-flywheel-token": "another"}):
            assert (await house.post("/v1/load_lora_adapter", headers, **fields))[0] == 403
            assert (await house.post("/v1/unload_lora_adapter", headers, lora_name="x"))[0] == 403
        assert (await house.post("/v1/chat/completions", {}, model="tiny-base"))[0] == 200
        async with house._session.post(f"{house.url}/v1/chat/completions", data=b"[1") as response:
            assert response.status == 400


@pytest.mark.asyncio
async def test_the_reconciler_keeps_it_as_any_model_server(house, tmp_path):
    """Serving needs to know nothing of llama-server: load, warm up, point, roll back."""
    llama = LlamaHouse(tmp_path / "there")
    async with llama.running():
        house.servers.append(llama)
        house.token, house.seconds = WORD, 120.0
        first, second = house.active(1), house.publish(2)
        house.move(second, "canary")
        await house.settle()
        assert house.pointed == {second: 0.2, first: 0.8}
        assert await llama.says(first) == f"{first} speaks"
        house.move(second, "rolled back")
        await house.cycle()
        assert house.pointed == {first: 1.0}
        house.clock.advance(60)
        await house.settle()
        assert list(await llama.listed()) == ["tiny-base", first]
        routing = Routing.parse(house.routing_file.read_bytes())
        assert (routing.upstreams, LINE in routing.aliases) == ((llama.url,), True)
