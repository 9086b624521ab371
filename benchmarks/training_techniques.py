"""Every technique on the tiny world, three seeds each: which share of held-out tasks is answered rightly, and how fast.

    python benchmarks/training_techniques.py [SEEDS]

Real runs in the train environment, each a process of its own, on one thread. It shows the machinery, not what a
technique can do for a real model.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from flywheel.cli.demos import worlds
from flywheel.proc.environments import environment
from flywheel.train.backends.trl import ENV

JOBS = Path(__file__).parents[1] / "flywheel" / "jobs"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flywheel"
ROWS_SEED, COUNT = 3, 400
SHARED = {
    "rank": 8, "alpha": 16, "dropout": 0.0, "target_modules": "all-linear", "learning_rate": 2e-3, "epochs": 2,
    "scheduler": "cosine", "max_steps": -1, "batch_size": 16, "accumulation": 1, "warmup": 0.1, "max_length": 256,
    "weight_decay": 0.0, "optimizer": "adamw_torch", "precision": "fp32", "gradient_checkpointing": False,
    "eval_steps": 0, "save_steps": 0, "patience": 0,
}  # fmt: skip
SECOND = {"learning_rate": 5e-4, "epochs": 2}
WEIGHTS = {"PLAN": 2.0, "REASONING": 0.5}
#: Name: technique, its rows by part (kind, how many, from which task), and what differs from what all share.
RUNS: dict[str, tuple[str, dict[str, tuple[str, int, int]], dict[str, Any]]] = {
    "sft": ("sft", {"train": ("sft", 320, 0)}, {}),
    "sft, NF4": ("sft", {"train": ("sft", 320, 0)}, {"quantization": "nf4"}),
    "sft, last layer": ("sft", {"train": ("sft", 320, 0)}, {"max_steps": 40, "layers": 1}),
    "curriculum": ("sft", {"train": ("sft", 320, 0)}, {"ordered": True}),
    "dpo": ("dpo", {"pairs": ("dpo", 240, 0)}, {"learning_rate": 1e-3}),
    "sft-dpo": ("sft-dpo", {"train": ("sft", 160, 0), "pairs": ("dpo", 128, 400)}, {"preference": SECOND}),
    "kto": ("kto", {"judged": ("kto", 320, 0)}, {"learning_rate": 1e-3}),
    "cot-sft": ("cot-sft", {"train": ("cot-sft", 320, 0)}, {"epochs": 3}),
    "cot-sft, weighted": ("cot-sft", {"train": ("cot-sft", 320, 0)}, {"epochs": 3, "span_weights": WEIGHTS}),
}


def job(python: Path, script: str, *arguments: object) -> list[dict[str, Any]]:
    line = [str(python), str(JOBS / script), *map(str, arguments)]
    done = subprocess.run(line, env={**os.environ, **ENV}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-1000:] + done.stderr[-3000:])
    return [json.loads(row) for row in done.stdout.splitlines()]


def rows_of(python: Path, path: Path, lesson: tuple[str, int, int], *, ordered: bool) -> str:
    kind, count, start = lesson
    rows = job(python, "tiny_lessons.py", kind, "--count", count, "--seed", ROWS_SEED, "--start", start)
    if ordered:
        rows.sort(key=lambda row: len(row["messages"][-1]["content"]))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def train(python: Path, base: Path, folder: Path, name: str, seed: int) -> dict[str, Any]:
    technique, lessons, more = RUNS[name]
    folder.mkdir()
    ordered = bool(more.get("ordered"))
    files = {
        part: rows_of(python, folder / f"{part}.jsonl", lesson, ordered=ordered) for part, lesson in lessons.items()
    }
    values = {**SHARED, **{key: value for key, value in more.items() if key != "ordered"}}
    spec = {"base": str(base), "train": None, "valid": None, "out": str(folder / "out"), "seed": seed, **files}
    body = {**spec, "technique": technique, "ordered": ordered, "hyperparameters": values}
    (folder / "spec.json").write_text(json.dumps(body))
    return job(python, "train_adapter.py", folder / "spec.json")[-1]


def main(seeds: int) -> None:
    python = environment("train", "cpu").python
    first = worlds.build_base(python, CACHE, lambda _step, _of: None)
    with tempfile.TemporaryDirectory() as folder:
        second = Path(folder) / "second-base"
        job(python, "tiny_thoughts.py", first, second)
        print(f"{'run':<20}{'steps':>6}{'seconds':>9}   right, base -> seeds 0..{seeds - 1}")
        for place, name in enumerate(RUNS):
            base = second if RUNS[name][0] == "cot-sft" else first
            began = time.monotonic()
            homes = [Path(folder) / f"{place}-{seed}" for seed in range(seeds)]
            ends = [train(python, base, home, name, seed) for seed, home in enumerate(homes)]
            took = (time.monotonic() - began) / seeds
            adapters = [home / "out" / "adapter" for home in homes]
            found = job(python, "tiny_scores.py", base, *adapters, "--count", COUNT, "--seed", ROWS_SEED)
            shares = "  ".join(f"{one['right']:.3f}" for one in found[1:])
            shown = (
                f"   shows its reasoning: {found[0]['shown']:.2f} -> {found[1]['shown']:.2f}" if base == second else ""
            )
            print(
                f"{name:<20}{ends[0]['steps']:>6}{took:>9.1f}   {found[0]['right']:.3f} -> {shares}{shown}", flush=True
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
