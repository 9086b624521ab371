"""A model server that follows a script, adapters written by hand, and a serve room on a real store."""

import asyncio
import json
from contextlib import asynccontextmanager

import numpy as np
from aiohttp import web

from flywheel.core.clocks import ManualClock
from flywheel.core.events import Event
from flywheel.core.ids import content_hash
from flywheel.core.lines import Line
from flywheel.core.releases import ReleaseState
from flywheel.core.routing import Routing
from flywheel.core.serving import ModelServer
from flywheel.core.training import AdapterManifest, Base
from flywheel.proc.files import file_hash
from flywheel.serve.run import ServeRoom
from flywheel.serve.sharing import Terms
from flywheel.serve.sites import Site
from flywheel.store import releases as release_rows
from flywheel.store.ledger import append, events
from flywheel.store.loaded import last_routing, loaded
from flywheel.store.runs import adapter_by_name, pin_base, record_adapter

LINE = "tool-calling"
BASE = "tiny-base"
HIDDEN, INNER, RANK = 8, 12, 2
MODULE = "model.layers.0.self_attn.q_proj"
TYPES = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "U8": "<u1"}


def write_tensors(path, tensors):
    """Write a safetensors file: {name: (type, array)}; BF16 takes the bits as uint16."""
    header, blobs, at = {}, [], 0
    for name, (dtype, array) in tensors.items():
        blob = array.astype("<u2" if dtype == "BF16" else TYPES[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    raw = json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + b"".join(blobs))


def lora(module=MODULE, rank=RANK, dtype="F32", width_in=HIDDEN, width_out=HIDDEN):
    """Return the two halves of a LoRA on one module."""
    prefix = f"base_model.model.{module}"
    return {
        f"{prefix}.lora_A.weight": (dtype, np.ones((rank, width_in))),
        f"{prefix}.lora_B.weight": (dtype, np.zeros((width_out, rank))),
    }


def write_base(folder):
    """Write a base of one layer."""
    folder.mkdir(parents=True)
    config = {"hidden_size": HIDDEN, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": INNER}
    (folder / "config.json").write_text(json.dumps(config))
    weights = {
        f"{MODULE}.weight": ("BF16", np.zeros((HIDDEN, HIDDEN))),
        "model.layers.0.mlp.up_proj.weight": ("BF16", np.zeros((INNER, HIDDEN))),
        "model.norm.weight": ("BF16", np.zeros(HIDDEN)),
    }
    write_tensors(folder / "model.safetensors", weights)


def write_adapter(folder, tensors=None, **config):
    """Write an adapter's two files; return their digests."""
    folder.mkdir(parents=True)
    write_tensors(folder / "adapter_model.safetensors", tensors or lora())
    told = {"peft_type": "LORA", "r": RANK, "lora_alpha": 4, "target_modules": ["q_proj"], "bias": "none", **config}
    (folder / "adapter_config.json").write_text(json.dumps(told))
    return {path.name: file_hash(path) for path in folder.iterdir()}


def manifest_of(files, number=1, **given):
    """Return the manifest of an adapter."""
    return AdapterManifest(**{
        "hash": content_hash([files, number]), "line": LINE, "number": number, "run": f"run-{number}", "dataset": "d",
        "base_name": "tiny", "base_fingerprint": "fp", "rank": RANK, "target_modules": ("q_proj",), "files": files,
        **given,
    })  # fmt: skip


class ScriptedServer:
    """vLLM's doors for adapters, with switches for everything that can go wrong."""

    def __init__(self):
        self.base = BASE
        self.adapters = {}
        self.loads = []
        self.asked = []
        self.listing = None
        self.load_status = self.ask_status = self.base_status = 200
        self.seconds = 0.0
        self.runtime = True
        self.sleeps = True
        self.asleep = False
        self.told = []
        self.heard = []
        self.late_load = None  # True: the load comes about and is answered as a second one; a text: somebody's path
        self.dies_loading = False
        self.token = ""
        self.url = ""
        self._runner = None
        self._port = 0

    async def start(self):
        """Listen, on the same port as before."""
        app = web.Application(middlewares=[self._hear])
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        if self.sleeps:
            app.router.add_post("/sleep", self._sleep)
            app.router.add_post("/wake_up", self._wake)
            app.router.add_get("/is_sleeping", self._is_sleeping)
        if self.runtime:
            app.router.add_post("/v1/load_lora_adapter", self._load)
            app.router.add_post("/v1/unload_lora_adapter", self._unload)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    @web.middleware
    async def _hear(self, request, handler):
        self.heard.append(f"{request.method} {request.path} {await request.text()}")
        closed = request.path.endswith("_lora_adapter") and request.headers.get("x-flywheel-token", "") != self.token
        return _error(403, "not open here: flywheel's lock-down") if closed else await handler(request)

    async def stop(self):
        """Go away; what was loaded is forgotten, as a restart forgets it."""
        self.adapters = {}
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _sleep(self, request):
        self.told.append("sleep")
        self.asleep = True
        return web.json_response({"status": "sleeping", "level": 1})

    async def _wake(self, request):
        self.told.append("wake")
        self.asleep = False
        return web.json_response({"status": "awake", "tags": None})

    async def _is_sleeping(self, request):
        return web.json_response({"is_sleeping": self.asleep})

    async def _models(self, request):
        await asyncio.sleep(self.seconds)
        if self.listing is not None:
            return web.Response(text=self.listing)
        data = [{"id": self.base, "object": "model", "root": "/models/base", "parent": None}]
        data += [{"id": name, "root": path, "parent": self.base} for name, path in self.adapters.items()]
        return web.json_response({"object": "list", "data": data})

    async def _load(self, request):
        body = await request.json()
        name, path = body["lora_name"], body["lora_path"]
        self.loads.append((name, path))
        if self.dies_loading:
            request.transport.abort()
        if self.late_load is not None:
            self.adapters[name] = path if self.late_load is True else self.late_load
        if self.load_status != 200:
            return _error(self.load_status, "no")
        if name in self.adapters:
            return _error(400, f"The lora adapter '{name}' has already been loaded.")
        self.adapters[name] = path
        return web.Response(text=f"Success: LoRA adapter '{name}' added successfully.")

    async def _unload(self, request):
        name = (await request.json())["lora_name"]
        if self.adapters.pop(name, None) is None:
            return _error(404, f"The lora adapter '{name}' cannot be found.")
        return web.Response(text=f"Success: LoRA adapter '{name}' removed successfully.")

    async def _chat(self, request):
        name = (await request.json())["model"]
        assert not self.asleep, "it was asked while it slept"
        self.asked.append(name)
        status = self.base_status if name == self.base else self.ask_status
        if name != self.base and name not in self.adapters:
            status = 404
        return web.json_response({"choices": []}) if status == 200 else _error(status, "broken")


def _error(status, message):
    return web.json_response({"error": {"message": message, "type": "x", "code": status}}, status=status)


class ScriptedGateway:
    """The gateway's word about what is in force and in flight."""

    def __init__(self, routing_file):
        self.in_flight = {}
        self.calls = {"at_servers": 0, "held": 0, "overdue": 0, "quiet_seconds": 600.0}
        self.version = None
        self.url = ""
        self._file = routing_file

    @asynccontextmanager
    async def running(self):
        """Listen until the block ends."""
        app = web.Application()
        app.router.add_get("/flywheel/routing", self._tell)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _tell(self, request):
        version = self.version if self.version is not None else Routing.parse(self._file.read_bytes()).version
        return web.json_response({"version": version, "in_flight": self.in_flight, "calls": self.calls, "capture": {}})


class House:
    """One serve room with scripted servers."""

    def __init__(self, store, home):
        self.store = store
        self.home = home
        self.clock = ManualClock()
        self.routing_file = home / "routing.json"
        self.lines = {LINE: Line(name=LINE, why="tests", base="tiny")}
        self.bases = {"tiny": Base(name="tiny", path=str(home / "base"), served_as=BASE)}
        self.servers = []
        self.capacity, self.slots, self.token, self.seconds = 4, 2, "", 0.5
        self.largest_rank = 16
        self.gateway = None
        self.gpu = Terms()
        self.idle = True
        self.changed = ""
        write_base(home / "base")
        with store.write() as session:
            pin_base(session, "tiny", str(home / "base"), "fp", 0)

    def room(self):
        """Return a room as a daemon that has just started would make it."""
        servers = tuple(
            ModelServer(url=s.url, max_loras=self.slots, max_cpu_loras=self.capacity, max_lora_rank=self.largest_rank)
            for s in self.servers
        )
        site = Site(adapters=self.home / "adapters", servers=servers, routing_file=self.routing_file,
                    gateway=self.gateway, look_seconds=0.3, work_seconds=self.seconds,
                    gpu=self.gpu, is_idle=lambda: self.idle, token=lambda: self.token)  # fmt: skip
        return ServeRoom(self.store, self.clock, lambda: self.lines, self.bases, site, lambda _: self.changed)

    async def server(self):
        """Start another scripted server."""
        server = ScriptedServer()
        await server.start()
        self.servers.append(server)
        return server

    def publish(self, number, tensors=None, **config):
        """Publish and register an adapter; return its name."""
        folder = self.home / "adapters" / LINE / str(number)
        manifest = manifest_of(write_adapter(folder, tensors, **config), number)
        with self.store.write() as session:
            seq = append(session, Event(kind="rollout.adapter_registered", at=self.clock.now(), line=LINE,
                                        subject=manifest.name))  # fmt: skip
            record_adapter(session, manifest, str(folder), seq)
            release_rows.register(session, adapter_by_name(session, manifest.name), self.clock.now(), seq)
        return manifest.name

    def move(self, name, *states):
        """Move a release as rollout does."""
        kinds = {"canary": "rollout.canary_started", "active": "rollout.adapter_promoted",
                 "superseded": "rollout.adapter_superseded", "rejected": "rollout.adapter_rejected",
                 "rolled back": "rollout.adapter_rolled_back", "retired": "rollout.adapter_retired"}  # fmt: skip
        for state in states:
            with self.store.write() as session:
                seq = append(session, Event(kind=kinds[state], at=self.clock.now(), line=LINE, subject=name))
                if state == "canary":
                    release_rows.start_canary(session, name, 0.2, self.clock.now(), seq)
                else:
                    release_rows.move(session, name, ReleaseState(state), self.clock.now(), seq)

    def active(self, number):
        """Publish an adapter that is the active one at once; the one before gives way."""
        name = self.publish(number)
        self.move(name, "canary")
        with self.store.read() as session:
            before = [r.name for r in release_rows.releases(session, LINE) if r.state is ReleaseState.ACTIVE]
        for other in before:
            self.move(other, "superseded")
        self.move(name, "active")
        return name

    async def cycle(self):
        """Run one cycle; return the attempts."""
        room = self.room()
        plan = await room.propose()
        return [await room.perform(proposal.intent, proposal.cause) for proposal in plan.proposals]

    async def settle(self):
        """Run cycles until nothing changes."""
        for _ in range(12):
            attempts = await self.cycle()
            if not any(getattr(attempt, "changed", False) for attempt in attempts):
                return
        raise AssertionError("it never settles")

    async def proposed(self):
        """Return what is proposed now, in words."""
        plan = await self.room().propose()
        return [f"{p.intent.kind.partition('.')[2]} {p.intent.subject}" for p in plan.proposals]

    async def waits(self):
        """Return what the line waits for."""
        return (await self.room().propose()).waits.get(LINE, "")

    @property
    def pointed(self):
        """Return what the alias points at by the file the gateway reads."""
        routing = Routing.parse(self.routing_file.read_bytes())
        return {arm.model: arm.share for arm in routing.aliases[LINE].arms}

    def published(self):
        """Return the last routing in the store."""
        with self.store.read() as session:
            return last_routing(session)

    def loaded(self):
        """Return what the store thinks is loaded."""
        with self.store.read() as session:
            return [(entry.server, entry.name) for entry in loaded(session)]

    def events(self, *kinds):
        """Return the ledger's events of these kinds."""
        with self.store.read() as session:
            return events(session, kinds=kinds)
