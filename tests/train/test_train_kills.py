"""Kill -9 at any moment of training: every run ends, and with the bytes of one that nobody touched.

A small daemon works on a real store and trains the tiny base for real. What is killed is the training process, the
daemon, or both at once, at moments drawn from the whole duration of a run, and in addition just while a checkpoint is
being written, while the adapter is being saved, and while it is being published. Six kills by default, 200 in
`make soak`.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fixtures.nurslings import environment, nursery_for
from fixtures.tiny import conversations, tasks, tiny_base, train_python, write_rows

from flywheel.core.events import Event
from flywheel.core.examples import DatasetManifest, Split
from flywheel.core.jobs import ProcessMark
from flywheel.core.lines import Line, TrainPlan
from flywheel.core.training import Base, Hyperparameters
from flywheel.proc import children
from flywheel.proc.files import file_hash
from flywheel.store.datasets import record_dataset
from flywheel.store.jobs import job_by_id, unhandled_jobs
from flywheel.store.ledger import append, events
from flywheel.store.runs import runs
from flywheel.store.stores import open_store, sqlite_url
from flywheel.train.adapters import is_whole

__all__ = ["tiny_base"]
pytestmark = [pytest.mark.train, pytest.mark.timeout(7200)]

KILLS = 200 if os.environ.get("FLYWHEEL_SOAK") else 6
WORKER = Path(__file__).parent / "train_worker.py"
STEPS, BATCH = 24, 8
VALUES = Hyperparameters(
    rank=8, alpha=16, dropout=0.1, learning_rate=2e-3, scheduler="constant", epochs=1, max_steps=STEPS - 2,
    batch_size=BATCH, max_length=128, precision="fp32", gradient_checkpointing=False, eval_steps=2, save_steps=2,
    patience=4,
)  # fmt: skip


def prepare(folder: Path, base: Path) -> Path:
    """Make a house in which one dataset waits to be learned."""
    data = folder / "datasets" / "d1"
    data.mkdir(parents=True)
    write_rows(data / "train.jsonl", conversations(tasks(STEPS * BATCH, seed=3)))
    write_rows(data / "valid.jsonl", conversations(tasks(BATCH, seed=3, start=5000)))
    line = Line(name="l", why="w", base="tiny", train=TrainPlan(hyperparameters=VALUES))
    (folder / "line.json").write_text(line.model_dump_json())
    (folder / "base.json").write_text(Base(name="tiny", path=str(base), served_as="tiny").model_dump_json())
    (folder / "python.json").write_text(json.dumps(train_python()))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    rows = {"train": STEPS * BATCH, "valid": BATCH}
    splits = {name: Split(rows=count, sha256=file_hash(data / f"{name}.jsonl")) for name, count in rows.items()}
    manifest = DatasetManifest(
        hash="d1", line="l", number=1, parent=None, splits=splits, examples=STEPS * BATCH, fresh=STEPS * BATCH,
        replayed=0, created_at=now,
    )  # fmt: skip
    with open_store(sqlite_url(folder / "flywheel.db")) as store, store.write() as session:
        seq = append(session, Event(kind="curate.dataset_frozen", at=now, line="l", subject="d1"))
        record_dataset(session, manifest, 100, seq)
    return folder


def start(folder: Path, *, afresh: bool = False) -> "subprocess.Popen[bytes]":
    """Start the daemon of a house; `afresh` its training loads its libraries itself."""
    nursery = None if afresh else nursery_for([train_python()], environment())
    argv = [sys.executable, str(WORKER), str(folder), *([str(nursery.door)] if nursery else ())]
    with (folder / "worker.log").open("ab") as log:
        return subprocess.Popen(argv, env=environment(), stdout=log, stderr=log, start_new_session=True)


def trainer(folder: Path) -> ProcessMark | None:
    """Return the training process that the store knows."""
    with open_store(sqlite_url(folder / "flywheel.db")) as store, store.read() as session:
        return next((job.process for job in unhandled_jobs(session, "train")), None)


def outcome(folder: Path) -> dict[str, Any]:
    """Return everything that must be the same however often a run was killed."""
    (published,) = (folder / "adapters" / "l").iterdir()
    assert is_whole(published)
    with open_store(sqlite_url(folder / "flywheel.db")) as store, store.read() as session:
        told = [event.kind for event in events(session, limit=10_000)]
        (run,) = runs(session)
    once = ["train.run_started", "train.run_finished", "train.adapter_published"]
    return {
        "files": {path.name: path.read_bytes() for path in published.iterdir()},
        "folder": published.name,
        "told": {kind: told.count(kind) for kind in once},
        "result": {key: run.result[key] for key in ("steps", "loss", "eval_loss", "sha256")},
    }


def half_written_checkpoint(folder: Path) -> bool:
    """Tell whether a checkpoint is being written, or is not sealed yet."""
    found = folder.glob("runs/*/out/checkpoints/checkpoint-*")
    return any(not (path / "manifest.json").exists() for path in found)


def half_saved_adapter(folder: Path) -> bool:
    """Tell whether the trained adapter is being saved."""
    return any(not (path.parent / "result.json").exists() for path in folder.glob("runs/*/out/*adapter"))


def half_published_adapter(folder: Path) -> bool:
    """Tell whether the adapter is being published: its folder has been begun."""
    return any(folder.glob("adapters/l/.*"))


Sight = Callable[[Path], bool]
Moment = float | Sight


def moments(dice: random.Random, duration: float) -> list[Moment]:
    """Return when to kill: from every part of a run's duration, and just while something is being written."""
    aimed: list[Moment] = [half_written_checkpoint, half_saved_adapter, half_published_adapter] * max(KILLS // 10, 1)
    count = KILLS - len(aimed)
    drawn: list[Moment] = [duration * (number + dice.random()) / count for number in range(count)]
    found = aimed + drawn
    dice.shuffle(found)
    return found


def comes(moment: Moment, folder: Path, worker: "subprocess.Popen[bytes]") -> bool:
    """Wait for a moment; False when the run ended before it came."""
    end = time.monotonic() + (moment if isinstance(moment, float) else 600)
    while time.monotonic() < end:
        if not isinstance(moment, float) and moment(folder):
            return True
        if worker.poll() is not None:
            return False
        time.sleep(0.002)
    return isinstance(moment, float)


def kill(folder: Path, worker: "subprocess.Popen[bytes]", whom: str) -> None:
    """Kill -9 the training process with its group, the daemon, or both; the daemon where nothing trains."""
    process = trainer(folder) if whom != "daemon" else None
    hit = process is not None and children.end(process, force=True)
    if whom != "trainer" or not hit:
        worker.kill()
        worker.wait()


@contextmanager
def ended(worker: "subprocess.Popen[bytes]", folder: Path) -> Iterator[None]:
    """Leave nothing running."""
    try:
        yield
    finally:
        if worker.poll() is None:
            kill(folder, worker, "both")


def undisturbed(folder: Path) -> tuple[dict[str, Any], float]:
    """Return what a run is that nobody touches, and how long it takes."""
    nursery_for([train_python()], environment())  # that it starts is no part of a run
    began = time.monotonic()
    worker = start(folder)
    with ended(worker, folder):
        assert worker.wait(900) == 0, (folder / "worker.log").read_text()
    with open_store(sqlite_url(folder / "flywheel.db")) as store, store.read() as session:
        job = job_by_id(session, f"train-{runs(session)[0].id}")
    told = {"step", "of", "loss", "eval_loss", "tokens_per_second", "eta_seconds", "checkpoint", "worked_seconds"}
    assert job is not None
    assert told <= job.progress.keys()
    return outcome(folder), time.monotonic() - began


@pytest.mark.slow
def test_kills_at_any_moment_leave_the_same_bytes(
    tiny_base: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Whatever is killed and whenever: one start, one end, one adapter, byte for byte the undisturbed one."""
    prepare(tmp_path / "new", tiny_base)
    expected, duration = undisturbed(shutil.copytree(tmp_path / "new", tmp_path / "calm"))
    dice = random.Random(4)
    waiting, kills, runs_ended = moments(dice, duration), 0, 0
    while kills < KILLS:
        folder = shutil.copytree(tmp_path / "new", tmp_path / f"house-{runs_ended}")
        worker = start(folder)
        while True:
            with_which = waiting.pop() if waiting else duration * dice.random()
            if kills >= KILLS or not comes(with_which, folder, worker):
                break
            kill(folder, worker, dice.choice(["trainer", "trainer", "both", "daemon"]))
            kills += 1
            worker = worker if worker.poll() is None else start(folder)
        with ended(worker, folder):
            assert worker.wait(900) == 0, (folder / "worker.log").read_text()
        runs_ended += 1
        assert outcome(folder) == expected
        shutil.rmtree(folder)
    record_property("kills", kills)
    record_property("runs", runs_ended)
    print(f"{kills} kills over {runs_ended} runs of {duration:.1f} s")


def test_a_run_that_takes_too_much_memory_is_tried_once_more_and_then_fails(tiny_base: Path, tmp_path: Path) -> None:
    """For real: torch alone takes more than is allowed here, so that the smaller batch does not help either."""
    folder = prepare(tmp_path / "house", tiny_base)
    line = Line.model_validate_json((folder / "line.json").read_bytes())
    starved = line.model_copy(update={"train": line.train.model_copy(update={"most_memory_gib": 0.1})})
    (folder / "line.json").write_text(starved.model_dump_json())
    worker = start(folder, afresh=True)
    with ended(worker, folder):
        assert worker.wait(300) == 1
    with open_store(sqlite_url(folder / "flywheel.db")) as store, store.read() as session:
        told = [event for event in events(session) if event.kind.startswith("train.") and event.subject != "tiny"]
    assert [event.kind for event in told] == [
        "train.run_started", "train.run_failed", "train.batch_halved", "train.run_started", "train.run_failed",
    ]  # fmt: skip
    first, last = told[1].body["error"], told[-1].body["error"]
    assert "most_memory_gib in [train] of line l allows 0.1" in first
    assert first.endswith("with batch_size 8; 4 x 2 is tried once")
    assert "again, with the smaller batch_size 4" in last
