"""A run's turn on a machine with a real model server that is stopped and started: the double, and vLLM on a CPU."""

import asyncio
import os
import shlex
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fixtures.model_servers import BASE, VLLM_SETTINGS, ModelServer
from fixtures.nurslings import QUIET

from flywheel.core.clocks import SystemClock
from flywheel.core.jobs import Job, JobState
from flywheel.core.lines import Line
from flywheel.core.serving import ModelServer as Served
from flywheel.core.training import Base
from flywheel.serve.run import ServeRoom
from flywheel.serve.sharing import Terms
from flywheel.serve.sites import Site
from flywheel.store import jobs as job_rows
from flywheel.store.ledger import events
from flywheel.store.stores import Store, open_store, sqlite_url
from flywheel.store.turns import turn_of

SOAK = pytest.mark.skipif(not os.environ.get("FLYWHEEL_SOAK"), reason="two starts of vLLM belong to make soak")
KINDS = [
    pytest.param("double", marks=pytest.mark.train),
    pytest.param("vllm", marks=[pytest.mark.vllm, pytest.mark.slow, SOAK]),
]
TURN = ["serve.calls_held", "serve.server_rested", "serve.gpu_reclaimed", "serve.server_woken", "serve.calls_released"]


class Daemonless(ModelServer):
    """A server that nobody but two commands starts and stops, as an operator would set them."""

    @property
    def pid(self) -> Path:
        """Where its process is written down."""
        return self.log.with_suffix(".pid")

    @property
    def start_command(self) -> tuple[str, ...]:
        """A command that starts it and returns."""
        variables = {**QUIET, **VLLM_SETTINGS, "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}
        env = " ".join(f"{key}={value}" for key, value in variables.items())
        line = f"setsid env {env} {shlex.join(self._command())} >> {self.log} 2>&1 & echo $! > {self.pid}"
        return ("sh", "-c", line)

    @property
    def stop_command(self) -> tuple[str, ...]:
        """A command that stops it and returns when it is gone."""
        return ("sh", "-c", f"p=$(cat {self.pid}); kill $p; while kill -0 $p 2>/dev/null; do sleep 0.1; done")


@pytest.fixture(params=KINDS)
def machine(request: pytest.FixtureRequest, tiny_base: Path, tmp_path: Path) -> Iterator[tuple[Daemonless, Store]]:
    """A server under commands, and a store."""
    server = Daemonless(request.param, tiny_base, tmp_path / "server.log")
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store:
        yield server, store
    os.system(shlex.join(server.stop_command))  # noqa: S605 - the test's own


def test_a_turn_stops_the_server_and_brings_it_back(machine: tuple[Daemonless, Store], tmp_path: Path) -> None:
    """It is gone while the run has the GPU, answers after it, and the turn's events stand in their order."""
    server, store = machine
    url = f"http://127.0.0.1:{server.port}"
    terms = Terms(sharing="stop", stop=server.stop_command, start=server.start_command)
    site = Site(tmp_path, (Served(url=url),), tmp_path / "routing.json", grace_seconds=0, gpu=terms)
    bases = {"tiny": Base(name="tiny", path=str(server.base), served_as=BASE)}
    lines = {"tool-calling": Line(name="tool-calling", why="w", base="tiny")}
    room = ServeRoom(store, SystemClock(), lambda: lines, bases, site)
    os.system(shlex.join(server.start_command))  # noqa: S605 - the test's own
    until(lambda: healthy(server), 240)
    with store.write() as session:
        job_rows.enqueue(session, Job(id="train-run-1", kind="train", line="tool-calling", subject="run-1",
                                      state=JobState.QUEUED, folder=str(tmp_path / "run-1")))  # fmt: skip
    asyncio.run(cycle_until(room, store, "resting", 60))
    assert not healthy(server)
    with store.write() as session:
        token = job_rows.take_over(session, "train-run-1", SystemClock().now(), timedelta(days=1))
        job_rows.finish(session, "train-run-1", token)
    began = time.monotonic()
    asyncio.run(cycle_until(room, store, "serving", 240))
    print(f"{server.kind}: back after {time.monotonic() - began:.1f} s")
    assert server.chat("Show src/cache.py").status == 200
    with store.read() as session:
        assert [event.kind for event in events(session, kinds=TURN)] == TURN
        assert not events(session, kinds=["serve.server_failed"])


async def cycle_until(room: ServeRoom, store: Store, phase: str, seconds: float) -> None:
    """Run the room until the turn has come so far."""
    async with asyncio.timeout(seconds):
        while True:
            with store.read() as session:
                if turn_of(session).phase == phase:
                    return
            for proposal in (await room.propose()).proposals:
                await room.perform(proposal.intent, proposal.cause)
            await asyncio.sleep(0.2)


def healthy(server: Daemonless) -> bool:
    """Whether it answers."""
    try:
        return server.get("/health").status == 200
    except OSError:
        return False


def until(true: Callable[[], bool], seconds: float) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)
