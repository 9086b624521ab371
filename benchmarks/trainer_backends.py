"""The same run by every trainer that is at hand: `python benchmarks/trainer_backends.py [BACKEND ...]`.

24 steps on 192 rows of the tiny world, plain LoRA, and the loss on 16 held-out rows as each trainer reports it. The
interpreters are named by FLYWHEEL_TRAIN_PYTHON, FLYWHEEL_UNSLOTH_PYTHON, FLYWHEEL_LLAMAFACTORY_PYTHON and
FLYWHEEL_MLX_PYTHON; whichever is not named is left out, and the default trainer's is the built train environment.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from flywheel.cli.demos import worlds
from flywheel.core.training import Hyperparameters, TrainSpec
from flywheel.proc.environments import environment
from flywheel.train.backends.registry import BACKENDS
from flywheel.train.backends.seams import Places

VARIABLES = {
    "trl": "FLYWHEEL_TRAIN_PYTHON",
    "unsloth": "FLYWHEEL_UNSLOTH_PYTHON",
    "llama-factory": "FLYWHEEL_LLAMAFACTORY_PYTHON",
    "mlx": "FLYWHEEL_MLX_PYTHON",
}
VALUES = Hyperparameters(
    rank=8, alpha=16, learning_rate=2e-3, epochs=1, batch_size=8, warmup=0.1, max_length=128, precision="fp32",
    gradient_checkpointing=False, eval_steps=8,
)  # fmt: skip
TASKS = Path(__file__).parents[1] / "flywheel" / "jobs" / "tiny_world.py"


def write_rows(path: Path, count: int, seed: int) -> None:
    argv = [sys.executable, str(TASKS), "tasks", "--count", str(count), "--seed", str(seed)]
    told = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    with path.open("w") as file:
        for task in map(json.loads, told.splitlines()):
            answer = {"role": "assistant", "content": f"<tool_call>{json.dumps(task['expected'][0])}</tool_call>"}
            file.write(json.dumps({"messages": [*task["messages"], answer]}) + "\n")


def run(backend: str, places: Places) -> dict[str, float]:
    spec = TrainSpec(
        line="l", dataset="d", base_name="b", base_fingerprint="f", backend=backend, hyperparameters=VALUES
    )
    command = BACKENDS[backend].command(spec, places, 16)
    places.folder.mkdir()
    places.orders.write_text(json.dumps(command.orders))
    subprocess.run(command.argv, check=True, cwd=places.folder, env={**os.environ, **command.env}, capture_output=True)
    return dict(json.loads((places.folder / "out" / "result.json").read_text()))


def main() -> None:
    os.environ.setdefault("FLYWHEEL_TRAIN_PYTHON", str(environment("train", "cpu").python))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flywheel"
    base = worlds.build_base(Path(os.environ["FLYWHEEL_TRAIN_PYTHON"]), cache, lambda _step, _of: None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "train.jsonl", 192, 3)
        write_rows(folder / "valid.jsonl", 16, 9)
        print(f"{'backend':<14} {'seconds':>8} {'loss':>10} {'held-out loss':>14}")
        for backend in sys.argv[1:] or VARIABLES:
            if python := os.environ.get(VARIABLES[backend]):
                places = Places(
                    python=Path(python), base=base, dataset=folder, folder=folder / backend,
                    splits=frozenset({"train", "valid"}),
                )  # fmt: skip
                left = run(backend, places)
                print(f"{backend:<14} {left['seconds']:>8.1f} {left['loss']:>10.6f} {left['eval_loss']:>14.6f}")
            else:
                print(f"{backend:<14} left out: {VARIABLES[backend]} names no interpreter")


if __name__ == "__main__":
    main()
