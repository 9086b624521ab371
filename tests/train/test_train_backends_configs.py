"""The configurations of foreign trainers: pure, complete, and of options that those trainers know.

`tests/data/trainers/*.json` were recorded from the locked versions; `tests/contract/trainers` compares them, and these
configurations, with the real parsers where those are installed.
"""

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from fixtures.tiny import HYPERPARAMETERS, JOBS

sys.path.insert(0, str(JOBS))

import tool_llama_factory
import tool_mlx
import train_specs

DATA = Path(__file__).parents[1] / "data" / "trainers"
WORK = Path("/run/out/work-1")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder that passes for a base."""
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text('{"dtype": "float32", "num_hidden_layers": 3}')
    for name in ("train", "valid", "pairs", "pairs_valid"):
        (tmp_path / f"{name}.jsonl").write_text("{}\n")
    return tmp_path / "base"


def spec(base: Path, technique: str = "sft", ordered: bool = False, **values: Any) -> train_specs.Spec:  # noqa: FBT001, FBT002
    """Return a spec as the job reads it."""
    files = {name: str(base.parent / f"{name}.jsonl") for name in ("train", "valid", "pairs", "pairs_valid")}
    body = {
        **files, "base": str(base), "out": "/run/out", "seed": 7, "technique": technique, "ordered": ordered,
        "hyperparameters": {**HYPERPARAMETERS, **values},
    }  # fmt: skip
    path = base.parent / "spec.json"
    path.write_text(json.dumps(body))
    return train_specs.read(path)


def recorded(tool: str) -> dict[str, list[str]]:
    """Return the options that a tool knows."""
    return dict(json.loads((DATA / f"{tool}.json").read_text()))


VARIED: list[dict[str, Any]] = [
    {"scheduler": scheduler, "variant": variant, "target_modules": modules, "optimizer": optimizer, "warmup": warmup}
    for scheduler, (variant, modules), (optimizer, warmup) in itertools.product(
        ("linear", "cosine", "constant"),
        (("lora", "all-linear"), ("rslora", ["q_proj", "up_proj"])),
        (("adamw_torch", 0.1), ("adafactor", 5)),
    )
]


@pytest.mark.parametrize("values", VARIED)
def test_mlx_is_given_only_options_it_knows(base: Path, values: dict[str, Any]) -> None:
    """The same spec gives the same configuration, of known keys, and a schedule of known form."""
    made = tool_mlx.config(spec(base, **values), WORK, 100, validates=True)
    assert made == tool_mlx.config(spec(base, **values), WORK, 100, validates=True)
    assert set(made) <= set(recorded("mlx")["options"])
    assert made["lr_schedule"]["arguments"][0] == HYPERPARAMETERS["learning_rate"]
    assert made["lr_schedule"]["warmup"] == (10 if values["warmup"] == 0.1 else 5)
    assert ("keys" in made["lora_parameters"]) == (values["target_modules"] != "all-linear")


def test_mlx_counts_passes_where_a_spec_counts_steps(base: Path) -> None:
    """A step is an optimiser step: passes, looks and reports are that often times the accumulation."""
    made = tool_mlx.config(spec(base, accumulation=4, eval_steps=10, layers=2), WORK, 50, validates=True)
    found = {key: made[key] for key in ("iters", "steps_per_eval", "steps_per_report", "grad_accumulation_steps")}
    assert found == {"iters": 200, "steps_per_eval": 40, "steps_per_report": 4, "grad_accumulation_steps": 4}
    assert made["num_layers"] == 2
    assert made["lr_schedule"] == {"name": "cosine_decay", "arguments": [2e-3, 45, 0.0], "warmup": 5}
    assert tool_mlx.config(spec(base), WORK, 50, validates=False)["steps_per_eval"] > 50


def test_mlx_scales_as_peft_does(base: Path) -> None:
    """Alpha by rank, or by its root with rslora, and modules by their place in a layer."""
    plain = tool_mlx.config(spec(base, rank=16, alpha=32), WORK, 5, validates=False)["lora_parameters"]
    assert (plain["scale"], plain["rank"]) == (2.0, 16)
    assert {"self_attn.q_proj", "mlp.down_proj"} <= set(plain["keys"])
    rooted = tool_mlx.config(spec(base, rank=16, alpha=32, variant="rslora"), WORK, 5, validates=False)
    assert rooted["lora_parameters"]["scale"] == 8.0


@pytest.mark.parametrize("values", VARIED)
@pytest.mark.parametrize("technique", ["sft", "cot-sft", "dpo"])
def test_llama_factory_is_given_only_options_it_knows(base: Path, technique: str, values: dict[str, Any]) -> None:
    """The same spec gives the same configuration and the same description of the rows, both of known keys."""
    given = spec(base, technique, eval_steps=5, save_steps=5, patience=2, quantization="nf4", **values)
    made = tool_llama_factory.config(given, WORK, 100, validates=True, cuda=True)
    assert made == tool_llama_factory.config(given, WORK, 100, validates=True, cuda=True)
    known = recorded("llama-factory")
    assert set(made) <= set(known["options"])
    info = tool_llama_factory.dataset_info(given)
    for one in info.values():
        assert set(one) <= {"file_name", "columns", "tags", *known["dataset"]}
        assert {*one["columns"], *one["tags"]} <= set(known["dataset"])
    assert {made["dataset"], made["eval_dataset"]} == set(info)
    assert info["flywheel_train"]["file_name"].endswith("pairs.jsonl" if technique == "dpo" else "train.jsonl")


def test_llama_factory_gets_what_the_spec_says(base: Path) -> None:
    """QLoRA is NF4, doubly quantised; pairs keep beta and the weight of the plain loss; a curriculum its order."""
    wishes = {"beta": 0.2, "sft_weight": 0.5}
    given = spec(base, "dpo", ordered=True, quantization="nf4", preference=wishes, precision="bf16")
    made = tool_llama_factory.config(given, WORK, 10, validates=False, cuda=False)
    expected = {
        "stage": "dpo", "pref_beta": 0.2, "pref_ftx": 0.5, "pref_loss": "sigmoid", "disable_shuffling": True,
        "quantization_bit": 4, "quantization_type": "nf4", "double_quantization": True, "bf16": True,
        "infer_dtype": "bfloat16", "use_cpu": True, "lora_rank": 8, "lora_alpha": 16, "seed": 7, "cutoff_len": 128,
        "eval_strategy": "no", "save_strategy": "no", "finetuning_type": "lora",
    }  # fmt: skip
    assert {key: made[key] for key in expected} == expected


UNABLE = [
    (tool_mlx, {"quantization": "nf4"}, "MLX does not read NF4"),
    (tool_mlx, {"optimizer": "adamw_8bit"}, "MLX does not know 'adamw_8bit'"),
    (tool_mlx, {"target_modules": ["router"]}, "where 'router' stands"),
    (tool_mlx, {"precision": "bf16"}, "which is float32 and not bfloat16"),
    (tool_mlx, {"ordered": True}, "a curriculum would be lost"),
    (tool_mlx, {"technique": "dpo"}, "does not do dpo; it does sft, cot-sft"),
    (tool_llama_factory, {"layers": 2}, "trains all layers"),
    (tool_llama_factory, {"span_weights": {"PLAN": 2}}, "counts every learned token alike"),
    (tool_llama_factory, {"alpha": 1.5}, "takes a whole number"),
]


@pytest.mark.parametrize(("tool", "values", "reason"), UNABLE)
def test_what_a_tool_cannot_do_is_refused_before_it_starts(base: Path, tool: Any, values: Any, reason: str) -> None:
    """The job refuses it once more by itself, whoever wrote the orders."""
    with pytest.raises(train_specs.MisuseError, match=reason):
        tool.refuse(spec(base, **values))
    tool.refuse(spec(base))
