"""A train room on a real store, a tiny folder that passes for a base, and a program that passes for a trainer."""

import json
import os
import struct
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from flywheel.core.attempts import Attempt
from flywheel.core.clocks import ManualClock
from flywheel.core.events import Event
from flywheel.core.examples import DatasetManifest, Split
from flywheel.core.facts import Value
from flywheel.core.jobs import Ending, Job
from flywheel.core.lines import Line
from flywheel.core.rooms import Plan, Proposal
from flywheel.core.steps import Steps
from flywheel.core.training import Base
from flywheel.proc.children import mark
from flywheel.proc.files import file_hash
from flywheel.store import jobs as job_rows
from flywheel.store import runs as run_rows
from flywheel.store.datasets import record_dataset
from flywheel.store.ledger import append, events
from flywheel.store.stores import Store
from flywheel.train.readings import Readings
from flywheel.train.run import TrainPlaces, TrainRoom

TRAINER = """#!/bin/sh
# Called as the train environment's python is: with the job and the path of its orders.
[ -r "$2" ] || exit 2
mkdir -p out/adapter
echo '{"event": "started"}'
echo '{"r": 2, "target_modules": ["v_proj", "q_proj"]}' > out/adapter/adapter_config.json
cp "$(dirname "$0")/lora.safetensors" out/adapter/adapter_model.safetensors
sha=$(sha256sum < out/adapter/adapter_model.safetensors | cut -d' ' -f1)
echo "{\\"sha256\\": \\"$sha\\", \\"loss\\": 0.5, \\"steps\\": 7}" > out/result.json
"""


WIDTH, RANK = 4, 2
MODULES = ("model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj")
BASE = {f"{name}.weight": (WIDTH, WIDTH) for name in MODULES}
LORA = {
    f"base_model.model.{name}.lora_{half}.weight": (RANK, WIDTH) if half == "A" else (WIDTH, RANK)
    for name in MODULES for half in ("A", "B")
}  # fmt: skip


def write_tensors(path: Path, shapes: dict[str, tuple[int, int]], value: float = 0.5) -> None:
    """Write a safetensors file of F32 tensors of these shapes, all of one value."""
    header, body = {}, b""
    for name, shape in shapes.items():
        data = struct.pack("<f", value) * (shape[0] * shape[1])
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


class KilledError(Exception):
    """Stands for a power cut at a boundary."""


class House:
    """One line on one base, and what other rooms would do around training."""

    def __init__(self, store: Store, steps: Steps, folder: Path) -> None:
        self.store = store
        self.steps = steps
        self.folder = folder
        self.clock = ManualClock()
        self.base = self._base(folder / "base")
        self.lines = {"l": Line(name="l", why="w", base="tiny")}
        self.bases = {"tiny": Base(name="tiny", path=str(self.base), served_as="tiny", parameters=0.5)}
        python = folder / "python"
        python.write_text(TRAINER)
        python.chmod(0o755)
        write_tensors(folder / "lora.safetensors", LORA)
        self.places = TrainPlaces(
            datasets=folder / "datasets", runs=folder / "runs", adapters=folder / "adapters", python=python
        )
        self.machine: dict[str, Value] = {"machine.gpus": 0, "clock.in_idle_window": True}
        self._datasets = 0

    @property
    def room(self) -> TrainRoom:
        """Return a room as a daemon that just started would make it."""
        readings = Readings(self.store, self.clock, lambda: self.lines, self.bases, lambda: self.machine)
        return TrainRoom(self.store, self.clock, readings, self.places)

    def _base(self, path: Path) -> Path:
        path.mkdir()
        (path / "config.json").write_text('{"model_type": "tiny"}')
        write_tensors(path / "model.safetensors", BASE)
        return path

    def freeze(self, line: str = "l", valid: int = 0, base: str = "", private: int = 0, **body: Any) -> tuple[str, int]:
        """Freeze a dataset as curation does; return its hash and the event that told of it."""
        self._datasets += 1
        digest = f"{line}-dataset-{self._datasets}"
        rows = {"train": 20} | ({"valid": valid} if valid else {})
        splits = {name: Split(rows=count, sha256=self._write(digest, name)) for name, count in rows.items()}
        manifest = DatasetManifest(
            hash=digest, line=line, number=self._datasets, parent=None, splits=splits, examples=17, fresh=9,
            replayed=3, created_at=self.clock.now(), base=base, private=private,
        )  # fmt: skip
        with self.store.write() as session:
            event = Event(kind="curate.dataset_frozen", at=self.clock.now(), line=line, subject=digest, body=body)
            seq = append(session, event)
            record_dataset(session, manifest, 100, seq)
        return digest, seq

    def _write(self, digest: str, name: str) -> str:
        path = self.places.datasets / digest / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")
        return file_hash(path)

    async def plan(self) -> Plan:
        """Return what a fresh room wants."""
        return await self.room.propose()

    async def proposal(self, kind: str) -> Proposal:
        """Return the one wish of a kind."""
        (found,) = [each for each in (await self.plan()).proposals if each.intent.kind == kind]
        return found

    async def do(self, kind: str, cause: int | None = None) -> Attempt:
        """Do the one wish of a kind, as the cycle would after allowing it."""
        wish = await self.proposal(kind)
        return await self.room.perform(wish.intent, wish.cause if cause is None else cause)

    async def started(self) -> str:
        """Bring a run to its start; return its name."""
        self.freeze()
        run = (await self.proposal("train.start_run")).intent.subject
        await self.do("train.start_run")
        return run

    def job(self, run: str) -> Job:
        """Return a run's job."""
        with self.store.read() as session:
            found = job_rows.job_by_id(session, f"train-{run}")
        assert found is not None
        return found

    def train(self, run: str, error: str = "", ending: Ending | None = None) -> None:
        """Do what the daemon does with a queued job: run its command in its folder, and say how it ended."""
        job = self.job(run)
        with self.store.write() as session:
            token = job_rows.acquire(session, job.id, self.clock.now(), timedelta(seconds=60))
            job_rows.mark_running(session, job.id, token, mark(os.getpid()))
        if not error:
            env = {**os.environ, **job.spec["env"]}
            subprocess.run(job.spec["argv"], cwd=job.folder, env=env, check=True, capture_output=True)
        with self.store.write() as session:
            job_rows.finish(session, job.id, token, error, ending)

    async def trained(self) -> str:
        """Bring a run to its end; return its name."""
        run = await self.started()
        self.train(run)
        return run

    def events(self, *kinds: str) -> list[Event]:
        """Return the ledger's events of these kinds."""
        with self.store.read() as session:
            return events(session, kinds=kinds)

    def run(self, name: str) -> run_rows.Run:
        """Return a run."""
        with self.store.read() as session:
            found = run_rows.run_by_id(session, name)
        assert found is not None
        return found

    def adapters(self) -> list[run_rows.Adapter]:
        """Return every published adapter."""
        with self.store.read() as session:
            return run_rows.adapters(session)

    def everything(self) -> Any:
        """Return all that the store and the folders say, to compare two worlds."""
        with self.store.read() as session:
            told = [(e.seq, e.kind, e.subject, e.cause, json.dumps(e.body)) for e in events(session)]
            jobs = [(j.id, j.state, j.handled) for j in job_rows.open_jobs(session)]
            unhandled = [j.id for j in job_rows.unhandled_jobs(session, "train")]
            rows = (run_rows.runs(session), run_rows.adapters(session))
        folders = sorted(p.relative_to(self.folder).as_posix() for p in self.folder.glob("adapters/**/*"))
        return told, jobs, unhandled, rows, folders


def once_at(number: int) -> Callable[[str], None]:
    """Return a listener that kills at the boundary of this number, and never again."""
    seen = 0

    def listen(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            raise KilledError

    return listen


__all__ = ["House", "KilledError", "once_at"]
