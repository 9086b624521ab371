"""What it costs that flywheel trains and not a bare script: the same run by both, in turns, start-up included.

The worker is the whole of it: the job is queued in a store and followed as the daemon follows it, with its log read,
its lease renewed, checkpoints sealed, progress told, curves drawn, rows tokenised and measured. The bare script is TRL
as its manual has it: the same base, rows, batches, steps, checkpoints and losses told, and the adapter saved; in the
worker's environment, so that both keep what they allocated alike.
Both train the tiny base on one thread; wall time is what a clock says, processor time that of all processes involved,
the one that follows included. A single look, without a GPU: with one, the same bookkeeping costs a smaller share.

Run: python benchmarks/training_overhead.py [pairs] [steps]
"""

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import structlog

from flywheel.cli.demos import worlds
from flywheel.core.clocks import SystemClock
from flywheel.core.jobs import Job, JobState
from flywheel.core.steps import Steps
from flywheel.core.training import Hyperparameters, TrainSpec
from flywheel.daemon.works import WorkLimits, Works
from flywheel.proc.environments import environment
from flywheel.proc.files import write_json
from flywheel.store import jobs as rows
from flywheel.store.stores import Store, open_store, sqlite_url
from flywheel.train.backends.seams import RESULT, Places
from flywheel.train.backends.trl import Trl

MOST = 0.03
BATCH = 8
VALUES = Hyperparameters(
    rank=8, alpha=16, learning_rate=1e-3, epochs=1, batch_size=BATCH, max_length=128, precision="fp32",
    gradient_checkpointing=False, save_steps=100,
)  # fmt: skip

BARE = """
import json, sys
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
from trl import SFTConfig, SFTTrainer

orders = json.load(open(sys.argv[1]))
values, out = orders["hyperparameters"], orders["out"]
set_seed(orders["seed"])
rows = load_dataset("json", data_files=orders["train"], split="train", cache_dir=out + "/cache")
rows = rows.map(lambda row: {"prompt": row["messages"][:-1], "completion": row["messages"][-1:]})
trainer = SFTTrainer(
    model=AutoModelForCausalLM.from_pretrained(orders["base"], dtype="float32"),
    args=SFTConfig(
        output_dir=out + "/checkpoints", seed=orders["seed"], use_cpu=True, bf16=False,
        learning_rate=values["learning_rate"], lr_scheduler_type=values["scheduler"],
        num_train_epochs=values["epochs"], per_device_train_batch_size=values["batch_size"],
        gradient_accumulation_steps=values["accumulation"], warmup_steps=values["warmup"],
        weight_decay=values["weight_decay"], optim=values["optimizer"], max_length=values["max_length"],
        gradient_checkpointing=False, save_steps=values["save_steps"], save_total_limit=3,
        logging_steps=orders["logging_steps"], report_to="none", disable_tqdm=True,
    ),
    train_dataset=rows.remove_columns("messages"),
    processing_class=AutoTokenizer.from_pretrained(orders["base"]),
    peft_config=LoraConfig(
        r=values["rank"], lora_alpha=values["alpha"], lora_dropout=values["dropout"],
        target_modules=sorted(values["target_modules"]), task_type="CAUSAL_LM",
    ),
)
trainer.train()
trainer.save_model(out + "/adapter")
print(json.dumps({"steps": trainer.state.global_step, "loss": trainer.state.log_history[-2]["loss"]}))
"""


class Cost(NamedTuple):
    """What one run took, in seconds; `following` is the part of the processor time that is not the training's own."""

    wall: float
    processor: float
    following: float


def spent() -> tuple[float, float]:
    """Return the processor seconds of this process, and of all its children that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own, children = (one.ru_utime + one.ru_stime for one in both)
    return own, children


def orders_for(folder: Path, base: Path, train: Path, python: Path) -> tuple[tuple[str, ...], Path, dict[str, str]]:
    """Write what is to be trained; return the worker's command, the file, and its environment."""
    spec = TrainSpec(
        line="l", dataset="d", base_name="tiny", base_fingerprint="f", technique="sft", hyperparameters=VALUES
    )
    places = Places(python=python, base=base, dataset=train.parent, folder=folder, splits=frozenset({"train"}))
    command = Trl().command(spec, places, 0)
    write_json(places.orders, command.orders)
    return command.argv, places.orders, command.env


async def worked(store: Store, folder: Path, base: Path, train: Path, python: Path) -> None:
    """Let the worker do the run, from a queued job to its end, on a store that is open as a daemon's is."""
    argv, _, env = orders_for(folder, base, train, python)
    spec = {"argv": list(argv), "env": env, "result": RESULT}
    job = Job(
        id=folder.name, kind="train", line="l", subject="run", state=JobState.QUEUED, folder=str(folder), spec=spec
    )
    with store.write() as session:
        rows.enqueue(session, job)
    done = asyncio.Event()
    works = Works(store, SystemClock(), Steps(), WorkLimits(nice=0), lambda _: done.set())
    works.tend()
    await done.wait()
    with store.read() as session:
        found = rows.job_by_id(session, job.id)
    assert found is not None
    assert found.state is JobState.FINISHED, found.error


def bare(folder: Path, base: Path, train: Path, python: Path, steps: int) -> None:
    """Let the bare script do the run."""
    _, path, env = orders_for(folder, base, train, python)
    path.write_text(json.dumps({**json.loads(path.read_text()), "logging_steps": max(1, steps // 200)}))
    with (folder / "bare.log").open("wb") as log:
        argv = [str(python), "-c", BARE, str(path)]
        subprocess.run(argv, env={**os.environ, **env}, stdout=log, stderr=log, cwd=folder, check=True)


def timed(what, *given) -> Cost:
    """Return what a run took."""
    began, before = time.monotonic(), spent()
    found = what(*given)
    if asyncio.iscoroutine(found):
        asyncio.run(found)
    own, children = (now - then for now, then in zip(spent(), before, strict=True))
    return Cost(time.monotonic() - began, own + children, own)


def told(name: str, of: list[Cost]) -> Cost:
    """Print one side's numbers; return their medians."""
    median = Cost(*(statistics.median(values) for values in zip(*of, strict=True)))
    runs = ", ".join(f"{cost.wall:.1f}/{cost.processor:.1f}" for cost in of)
    print(
        f"{name:<7} median {median.wall:6.1f} s wall, {median.processor:6.1f} s processor, "
        f"{median.following:.2f} s of it for following   ({runs})"
    )
    return median


def main() -> None:
    """Run both in turns and print how they compare."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 600
    structlog.configure(processors=[lambda *_: (_ for _ in ()).throw(structlog.DropEvent)])
    named = os.environ.get("FLYWHEEL_TRAIN_PYTHON")
    python = Path(named) if named else environment("train").python
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flywheel"
    base = worlds.build_base(python, cache, lambda _step, _of: None)
    costs: dict[str, list[Cost]] = {"worker": [], "bare": []}
    with (
        tempfile.TemporaryDirectory(prefix="flywheel-overhead-") as top,
        open_store(sqlite_url(Path(top) / "flywheel.db")) as store,
    ):
        train = Path(top) / "train.jsonl"
        train.write_text("".join(json.dumps(row) + "\n" for row in conversations(python, steps * BATCH)))
        for pair in range(pairs):
            for name in ("worker", "bare") if pair % 2 else ("bare", "worker"):
                folder = Path(top) / f"{name}-{pair}"
                folder.mkdir()
                if name == "worker":
                    costs[name].append(timed(worked, store, folder, base, train, python))
                else:
                    costs[name].append(timed(bare, folder, base, train, python, steps))
        same = compare(Path(top))
    worker, script = told("worker", costs["worker"]), told("bare", costs["bare"])
    wall, processor = worker.wall / script.wall - 1, worker.processor / script.processor - 1
    print(f"{steps} steps of {BATCH} rows; {same}")
    print(f"overhead {wall:+.1%} wall, {processor:+.1%} processor; at most {MOST:.0%} is wanted")


def conversations(python: Path, count: int) -> list[dict]:
    """Return tasks of the tiny world with their right answers."""
    script = Path(worlds.__file__).parents[2] / "jobs" / "tiny_world.py"
    argv = [str(python), str(script), "tasks", "--count", str(count), "--seed", "3"]
    found = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    tasks = [json.loads(line) for line in found]
    return [
        {"messages": [*task["messages"], {"role": "assistant", "content": call(task["expected"][0])}]} for task in tasks
    ]


def call(expected: dict) -> str:
    """Return a tool call in the format that counts."""
    return f"<tool_call>{json.dumps(expected)}</tool_call>"


def compare(top: Path) -> str:
    """Say where both sides ended; they differ a little, for TRL also learns the line break after an answer."""
    result = json.loads((top / "worker-0" / "out" / "result.json").read_text())
    script = json.loads((top / "bare-0" / "bare.log").read_text().splitlines()[-1])
    assert result["steps"] == script["steps"]
    return f"last loss {result['loss']:.4f} by the worker, {script['loss']:.4f} by the script"


if __name__ == "__main__":
    main()
