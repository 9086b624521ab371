"""The configurations of foreign trainers before their real parsers, and MLX's adapter before PEFT's arithmetic.

They run where an environment is named; `tests/train/test_train_backends_configs.py` holds the same configurations
against what was recorded of these parsers.
"""

import itertools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import Trainer, python_of
from fixtures.tiny import JOBS, conversations, tasks, train_python, write_rows

pytestmark = pytest.mark.train

RECORDED = Path(__file__).parents[2] / "data" / "trainers"

_LLAMA_FACTORY = """
import dataclasses, json, sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
import transformers, torch
sys.modules.setdefault("torchaudio", module_from_spec(ModuleSpec("torchaudio", None)))
sys.path.insert(0, sys.argv[1])
import tool_llama_factory, train_specs
from llamafactory.data.parser import DatasetAttr, get_dataset_list
from llamafactory.hparams import get_train_args, parser
seen = []
for path in sys.argv[2:]:
    spec = train_specs.read(Path(path))
    work = Path(path).parent / "work"
    (work / "data").mkdir(parents=True, exist_ok=True)
    (work / "data" / "dataset_info.json").write_text(json.dumps(tool_llama_factory.dataset_info(spec)))
    config = tool_llama_factory.config(spec, work, 12, validates=True, cuda=False)
    model, data, training, tuning, _ = get_train_args(config)
    rows = get_dataset_list(data.dataset, data.dataset_dir)
    seen.append({
        "stage": tuning.stage, "rank": tuning.lora_rank, "rslora": tuning.use_rslora, "targets": tuning.lora_target,
        "steps": training.max_steps, "rate": training.learning_rate, "ranking": rows[0].ranking,
        "bits": model.quantization_bit, "double": model.double_quantization, "ordered": tuning.disable_shuffling,
        "beta": tuning.pref_beta, "ftx": tuning.pref_ftx, "patience": tuning.early_stopping_steps,
    })
options = sorted({f.name for one in parser._TRAIN_ARGS for f in dataclasses.fields(one) if f.init})
columns = sorted(f.name for f in dataclasses.fields(DatasetAttr))
print(json.dumps({"options": options, "dataset": columns, "seen": seen}))
"""

_MLX = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import tool_mlx, train_specs, yaml
from mlx_lm import lora
from mlx_lm.tuner.utils import build_schedule
import mlx.core as mx, mlx.optimizers as optim
seen = []
def taken(args, *_):
    schedule = build_schedule(args.lr_schedule)
    rates = [float(schedule(mx.array(step))) for step in (0, 6, 12)]
    name = {"adamw": optim.AdamW, "sgd": optim.SGD, "adafactor": optim.Adafactor}[args.optimizer]
    name(learning_rate=schedule, **args.optimizer_config[args.optimizer])
    seen.append({"iters": args.iters, "rates": rates, "layers": args.num_layers, **args.lora_parameters})
lora.run = taken
for path in sys.argv[2:]:
    spec = train_specs.read(Path(path))
    file = Path(path).with_suffix(".yaml")
    file.write_text(yaml.safe_dump(tool_mlx.config(spec, Path(path).parent, 12, validates=True)))
    sys.argv = ["mlx_lm.lora", "--config", str(file)]
    lora.main()
options = sorted(set(lora.CONFIG_DEFAULTS) | {a.dest for a in lora.build_parser()._actions} - {"help"})
print(json.dumps({"options": options, "seen": seen}))
"""


def written(trainer: Trainer, folder: Path, **values: Any) -> Path:
    """Write a run's orders and return their path."""
    trainer.command(folder, ("pairs", "pairs_valid"), **values)
    for name in ("pairs", "pairs_valid"):
        (trainer.dataset / f"{name}.jsonl").touch()
    return trainer.places(folder).orders


def asked(python: Path, source: str, *paths: Path) -> dict[str, Any]:
    """Run a script in a trainer's environment and return the JSON of its last line."""
    argv = [str(python), "-c", source, str(JOBS), *map(str, paths)]
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=200, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def at_hand(tiny_base: Path, trainer: Trainer) -> Trainer:
    """The backends with a parser of their own."""
    if trainer.backend not in {"llama-factory", "mlx"}:
        pytest.skip(f"{trainer.backend} has no configuration file")
    return trainer


VARIED = [
    {"scheduler": scheduler, "variant": variant, "target_modules": modules}
    for scheduler, (variant, modules) in itertools.product(
        ("linear", "cosine", "constant"), (("lora", "all-linear"), ("rslora", ["q_proj", "up_proj"]))
    )
]


def test_the_real_parser_takes_every_configuration(at_hand: Trainer, tmp_path: Path) -> None:
    """What was recorded is what the parser knows, and what it reads is what the spec said."""
    paths = [written(at_hand, tmp_path / str(place), **values) for place, values in enumerate(VARIED)]
    if at_hand.backend == "llama-factory":
        more = {"technique": "dpo", "eval_steps": 4, "patience": 2, "preference": {"beta": 0.3, "sft_weight": 0.5}}
        paths.append(written(at_hand, tmp_path / "dpo", **more))
    found = asked(at_hand.python, _LLAMA_FACTORY if at_hand.backend == "llama-factory" else _MLX, *paths)
    recorded = json.loads((RECORDED / f"{at_hand.backend}.json").read_text())
    assert {key: found[key] for key in recorded if key != "tool"} == {k: v for k, v in recorded.items() if k != "tool"}
    check = llama_factory if at_hand.backend == "llama-factory" else mlx
    check(found["seen"])


def llama_factory(seen: list[dict[str, Any]]) -> None:
    """Compare what LLaMA-Factory read with what was asked."""
    for values, one in zip(VARIED, seen, strict=False):
        assert (one["stage"], one["rank"], one["rslora"]) == ("sft", 8, values["variant"] == "rslora")
        assert one["targets"] == (["all"] if values["target_modules"] == "all-linear" else values["target_modules"])
        assert (one["rate"], one["ranking"]) == (2e-3, False)
    pairs = seen[-1]
    expected = {"stage": "dpo", "ranking": True, "beta": 0.3, "ftx": 0.5, "patience": 2}
    assert {key: pairs[key] for key in expected} == expected


def mlx(seen: list[dict[str, Any]]) -> None:
    """Compare what MLX read with what was asked: the rate rises, and falls as its schedule says."""
    for values, one in zip(VARIED, seen, strict=True):
        assert (one["iters"], one["layers"], one["rank"]) == (12, -1, 8)
        first, middle, last = one["rates"]
        assert first == 0
        assert (middle, last) == pytest.approx({
            "linear": (2e-3 * 0.6, 0.0), "cosine": (2e-3 * 0.6545, 0.0), "constant": (2e-3, 2e-3)
        }[values["scheduler"]], abs=4e-4)  # fmt: skip
        assert one["scale"] == pytest.approx(2.0 if values["variant"] == "lora" else 16 / 8**0.5)


_FUSE = """
import subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import tool_mlx, train_specs
spec = train_specs.read(Path(sys.argv[2]))
work = Path(sys.argv[2]).parent / "work"
work.mkdir()
tool_mlx.prepare(spec, work)
job, config = Path(sys.argv[1]) / "foreign_child.py", work / tool_mlx.CONFIG
child = [sys.executable, str(job), "mlx", str(config), str(work / "p")]
with subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
    assert process.wait() == 0
(work / "peft").mkdir()
for name, data in tool_mlx.adapter(spec, work).items():
    (work / "peft" / name).write_bytes(data)
fuse = [sys.executable, "-m", "mlx_lm", "fuse", "--model", str(work / "model"), "--adapter-path", str(work / "adapter")]
subprocess.run([*fuse, "--save-path", str(work / "fused")], check=True, stdout=subprocess.DEVNULL)
print("{}")
"""
_MERGE = """
import json, sys
from pathlib import Path
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
work, base = Path(sys.argv[2]), sys.argv[3]
plain = {name: weight.clone() for name, weight in AutoModelForCausalLM.from_pretrained(base).state_dict().items()}
merged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(work / "peft")).merge_and_unload()
mine = merged.state_dict()
theirs = {}
for path in (work / "fused").glob("*.safetensors"):
    theirs |= load_file(path)
off = max(float((mine[name] - theirs[name]).abs().max()) for name in theirs)
moved = {name: float((mine[name] - plain[name]).abs().max()) for name in theirs}
print(json.dumps({"tensors": len(theirs), "off": off, "moved": sum(value > 1e-4 for value in moved.values())}))
"""


@pytest.mark.parametrize("values", [{}, {"variant": "rslora", "target_modules": ["q_proj", "down_proj"], "layers": 2}])
def test_an_mlx_adapter_in_pefts_form_is_the_same_adapter(tiny_base: Path, tmp_path: Path, values: Any) -> None:
    """The base fused by MLX and the base merged by PEFT are the same weights, tensor by tensor."""
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    python = python_of("mlx")
    write_rows(dataset / "train.jsonl", conversations(tasks(32, seed=3)))
    write_rows(dataset / "valid.jsonl", conversations(tasks(8, seed=5)))
    trainer = Trainer("mlx", python, tiny_base, dataset)
    asked(python, _FUSE, written(trainer, tmp_path / "run", **values))
    found = asked(Path(train_python()), _MERGE, tmp_path / "run" / "work", tiny_base)
    assert found["off"] < 1e-6
    assert found["moved"] == (2 * 2 if values else 3 * 7)
    assert found["tensors"] > 20
