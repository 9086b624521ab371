"""Serving's reconciler at a real server: the double and vLLM, locked down, with their own refusals."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fixtures.model_servers import BASE, TOKEN, ModelServer

from flywheel.core.clocks import SystemClock
from flywheel.core.events import Event
from flywheel.core.ids import content_hash
from flywheel.core.lines import Line
from flywheel.core.releases import ReleaseState
from flywheel.core.routing import Routing
from flywheel.core.serving import ModelServer as Served
from flywheel.core.training import AdapterManifest, Base
from flywheel.proc.files import file_hash
from flywheel.proc.loras import base_shapes
from flywheel.serve.run import ServeRoom
from flywheel.serve.sites import Site
from flywheel.store import releases as release_rows
from flywheel.store.ledger import append, events
from flywheel.store.runs import adapter_by_name, pin_base, record_adapter
from flywheel.store.stores import open_store, sqlite_url

WEIGHTS = "adapter_model.safetensors"
_lines = itertools.count(1)


class Station:
    """One reconciler at one real server; its line's name was never used before, so that its adapters' are new."""

    def __init__(self, server: ModelServer, home: Path) -> None:
        self.server, self.home, self.line = server, home, f"contract-{next(_lines)}"
        self.url = f"http://127.0.0.1:{server.port}"
        self.token, self.rank, self.capacity = TOKEN, 16, 4
        self.store = open_store(sqlite_url(home / "flywheel.db"))
        with self.store.write() as session:
            pin_base(session, "tiny", str(server.base), "fp", 0)

    def room(self) -> ServeRoom:
        """A room as a daemon that has just started makes it."""
        served = Served(url=self.url, max_cpu_loras=self.capacity, max_lora_rank=self.rank)
        site = Site(self.home / "adapters", (served,), self.home / "routing.json", grace_seconds=0,
                    token=lambda: self.token)  # fmt: skip
        bases = {"tiny": Base(name="tiny", path=str(self.server.base), served_as=BASE)}
        lines = {self.line: Line(name=self.line, why="w", base="tiny")}
        return ServeRoom(self.store, SystemClock(), lambda: lines, bases, site)

    def active(self, number: int, folder: Path) -> str:
        """Register an adapter's folder as the active release."""
        config = json.loads((folder / "adapter_config.json").read_text())
        files = {path.name: file_hash(path) for path in folder.iterdir() if path.is_file()}
        manifest = AdapterManifest(
            hash=content_hash(files), line=self.line, number=number, run="r", dataset="d", base_name="tiny",
            base_fingerprint="fp", rank=config["r"], target_modules=tuple(config["target_modules"]), files=files,
        )  # fmt: skip
        with self.store.write() as session:
            at = SystemClock().now()
            seq = append(
                session, Event(kind="rollout.adapter_registered", at=at, line=self.line, subject=manifest.name)
            )
            record_adapter(session, manifest, str(folder), seq)
            release_rows.register(session, adapter_by_name(session, manifest.name), at, seq)
            release_rows.start_canary(session, manifest.name, 0.2, at, seq)
            release_rows.move(session, manifest.name, ReleaseState.ACTIVE, at, seq)
        return manifest.name

    def crafted(self, number: int, rank: int = 8) -> Path:
        """Lay a sound adapter down where published ones lie."""
        return crafted(self.home / "adapters" / self.line / str(number), self.server.base, rank)

    def cycle(self, times: int = 1) -> list[object]:
        """Run cycles; return the last one's attempts."""

        async def once() -> list[object]:
            room = self.room()
            return [await room.perform(one.intent, one.cause) for one in (await room.propose()).proposals]

        for _ in range(times):
            attempts = asyncio.run(once())
        return attempts

    @property
    def pointed(self) -> list[str]:
        """Who answers for the line."""
        routing = Routing.parse((self.home / "routing.json").read_bytes())
        return [arm.model for arm in routing.aliases[self.line].arms]

    def reasons(self) -> list[str]:
        """Why adapters were refused."""
        with self.store.read() as session:
            return [event.body["reason"] for event in events(session, kinds=["serve.adapter_refused"])]


@pytest.fixture
def station(server: ModelServer, tmp_path: Path) -> Iterator[Station]:
    """A reconciler; what it loaded is unloaded when the test is over."""
    found = Station(server, tmp_path)
    yield found
    found.store.close()
    for name in server.cards():
        if name.startswith(found.line):
            server.unload(name)


def crafted(folder: Path, base: Path, rank: int = 8) -> Path:
    """Write a sound adapter that changes nothing: on every q_proj of the base, one half of it zeros."""
    folder.mkdir(parents=True)
    shapes, header, blobs, at = base_shapes(base), {}, [], 0
    for layer in range(json.loads((base / "config.json").read_text())["num_hidden_layers"]):
        module = f"model.layers.{layer}.self_attn.q_proj"
        rows, columns = shapes.of(module)
        for half, shape in (("A", (rank, columns)), ("B", (rows, rank))):
            blob = np.full(shape, half == "A", "<f4").tobytes()
            name = f"base_model.model.{module}.lora_{half}.weight"
            header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + len(blob)]}
            blobs.append(blob)
            at += len(blob)
    text = json.dumps(header).encode()
    (folder / WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 16, "target_modules": ["q_proj"], "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def test_the_daemon_keeps_a_server_that_is_locked_down(station: Station) -> None:
    """Without the token it waits and blames nobody; with it the adapter is loaded, warm, and pointed at."""
    name = station.active(1, station.crafted(1))
    station.token = "another"  # noqa: S105
    assert "does not know this daemon's token" in str(station.cycle()[-1])
    assert (station.reasons(), station.pointed) == ([], [BASE])
    station.token = TOKEN
    station.cycle(2)
    assert station.pointed == [name]
    assert station.server.chat("Show a.py", name).status == 200


def test_a_name_that_somebody_took_is_taken_back(station: Station, tmp_path: Path) -> None:
    """Other weights under our name answer nobody, and give way to ours."""
    folder = station.crafted(1)
    name = station.active(1, folder)
    assert station.server.load(name, crafted(tmp_path / "theirs", station.server.base)).status == 200
    station.cycle()
    assert station.pointed == [BASE]
    station.cycle(4)
    assert station.pointed == [name]
    assert station.server.cards()[name]["root"] == str(folder)


def test_a_rank_that_the_server_refuses_is_refused(station: Station) -> None:
    """Settings that promise more than the server was started for: it says no, and the base goes on answering."""
    name = station.active(1, station.crafted(1, 32))
    station.rank = 64
    station.cycle(2)
    (reason,) = station.reasons()
    assert f"refused {name} with" in reason
    assert station.pointed == [BASE]
    assert station.server.chat("Show a.py").status == 200


def test_a_full_server_keeps_what_it_has(station: Station, tmp_path: Path) -> None:
    """Where somebody's adapter has the only place, ours waits for it."""
    assert station.server.load("somebodys", crafted(tmp_path / "theirs", station.server.base)).status == 200
    try:
        station.capacity = 1
        station.active(1, station.crafted(1))
        station.cycle(2)
        assert (station.pointed, station.reasons()) == ([BASE], [])
        assert set(station.server.cards()) == {BASE, "somebodys"}
    finally:
        station.server.unload("somebodys")
