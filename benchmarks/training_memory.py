"""What a run really takes beside what the preflight's arithmetic says: `python benchmarks/training_memory.py`.

Random Qwen3 bases of growing width are trained for two steps by the shipped job, one process each, on the CPU; the peak
is the process's highest resident size as the kernel tells it. FLYWHEEL_TINY_BASE names the base whose tokenizer they
share, FLYWHEEL_TRAIN_PYTHON the interpreter of the train environment. Nothing here was ever run on CUDA.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

from flywheel.core.training import Hyperparameters, TrainSpec
from flywheel.train.backends.seams import Places
from flywheel.train.backends.trl import ENV, Trl
from flywheel.train.preflight_memories import Load, Shape, estimate

JOBS = Path(__file__).parents[1] / "flywheel" / "jobs"
#: Freed memory returns to the kernel at once, so that the peak is what is held and not what was once touched.
QUIET = {**ENV, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
BUILD = """
import json, sys
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM
tiny, out, shape = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
Qwen3ForCausalLM(Qwen3Config(**shape, eos_token_id=2, pad_token_id=0)).save_pretrained(out)
AutoTokenizer.from_pretrained(tiny).save_pretrained(out)
"""
PEAK = """
import json, resource, subprocess, sys
ended = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"rc": ended.returncode, "peak": peak * 1024, "said": ended.stdout[-400:]}))
"""
SHAPES = {
    "tiny": {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
             "num_key_value_heads": 2, "head_dim": 32, "vocab_size": 1024, "tie_word_embeddings": True},
    "middle": {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 8, "num_attention_heads": 8,
               "num_key_value_heads": 4, "head_dim": 64, "vocab_size": 32768, "tie_word_embeddings": True},
    "large": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 16,
              "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 65536, "tie_word_embeddings": True},
}  # fmt: skip
RUNS = (
    ("tiny", {"batch_size": 8, "precision": "fp32", "gradient_checkpointing": False}, 64),
    ("middle", {"batch_size": 4, "precision": "fp32", "gradient_checkpointing": False}, 512),
    ("middle", {"batch_size": 4, "precision": "fp32", "gradient_checkpointing": True}, 512),
    ("middle", {"batch_size": 4, "precision": "bf16", "gradient_checkpointing": False}, 512),
    ("large", {"batch_size": 2, "precision": "fp32", "gradient_checkpointing": False}, 512),
    ("large", {"batch_size": 2, "precision": "bf16", "gradient_checkpointing": True}, 512),
    ("large", {"batch_size": 2, "precision": "bf16", "gradient_checkpointing": False}, 512),
)


def base_of(python: str, tiny: str, name: str, folder: Path) -> Path:
    out = folder / name
    if not out.exists():
        line = [python, "-c", BUILD, tiny, str(out), json.dumps(SHAPES[name])]
        subprocess.run(line, env={**os.environ, **QUIET}, check=True, capture_output=True)
    return out


def rows(path: Path, length: int) -> Path:
    path.parent.mkdir(parents=True)
    word = "x " * (length - 12)
    message = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": word.strip()}]}
    path.write_text("".join(json.dumps(message) + "\n" for _ in range(32)))
    return path


def longest(python: str, base: Path, path: Path) -> int:
    argv = [python, str(JOBS / "count_tokens.py"), str(base), str(path)]
    told = subprocess.run(argv, env={**os.environ, **QUIET}, check=True, capture_output=True, text=True).stdout
    return int(max(json.loads(told)["lengths"]))


def measure(python: str, base: Path, values: Hyperparameters, folder: Path) -> int:
    spec = TrainSpec(line="l", dataset="d", base_name="b", base_fingerprint="f", hyperparameters=values)
    dataset = folder / "dataset"
    command = Trl().command(spec, Places(python=Path(python), base=base, dataset=dataset, folder=folder), 0)
    (folder / "spec.json").write_text(json.dumps(command.orders))
    argv = [python, "-c", PEAK, *command.argv]
    told = subprocess.run(argv, env={**os.environ, **QUIET}, check=True, capture_output=True, text=True).stdout
    result = json.loads(told)
    if result["rc"] != 0:
        raise SystemExit(result["said"])
    return int(result["peak"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="only runs of this base")
    only = parser.parse_args().only
    python, tiny = os.environ["FLYWHEEL_TRAIN_PYTHON"], os.environ["FLYWHEEL_TINY_BASE"]
    print(f"{'base':8}{'run':34}{'estimated':>11}{'measured':>11}{'error':>8}")
    with tempfile.TemporaryDirectory() as temporary:
        for number, (name, given, about) in enumerate(RUNS):
            if only not in {None, name}:
                continue
            values = Hyperparameters(rank=16, max_length=4096, max_steps=2, save_steps=100, **given)
            base = base_of(python, tiny, name, Path(temporary))
            shape = Shape.of(json.loads((base / "config.json").read_text()))
            assert shape is not None
            folder = Path(temporary) / f"run-{number}"
            length = longest(python, base, rows(folder / "dataset" / "train.jsonl", about))
            said = estimate(shape, Load(values=values, length=length, where="ram"))
            found = measure(python, base, values, folder)
            word = f"{given['batch_size']} x {length}, {given['precision']}"
            word += ", checkpointing" if given["gradient_checkpointing"] else ""
            error = (said.total - found) / found
            print(f"{name:8}{word:34}{said.total >> 20:>7} MiB{found >> 20:>7} MiB{error:>8.0%}", flush=True)


if __name__ == "__main__":
    main()
