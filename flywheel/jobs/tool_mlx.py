"""MLX's `mlx_lm.lora`: its configuration, its data, and its adapter in PEFT's form.

MLX renders rows by the model's chat template and learns what stands behind the prompt. It is given texts that are
rendered already, and a view of the base whose template only joins them: so it trains on the very tokens that a server
reads and the model is to write, the end of the turn the last of them. The base itself is only linked to.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import foreign_rows
import lora_models
import sft_rows
from train_specs import MisuseError, Spec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CONFIG = "mlx.yaml"
NEVER = 10**9  # checkpoints of MLX hold no state of the optimiser, so none are written
JOINING = "{%- for message in messages %}{{- message.content }}{%- endfor %}"
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
#: MLX's optimisers by the beginning of the name a spec uses, with what makes them those of torch.
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "adamw_torch": ("adamw", {"bias_correction": True}),
    "sgd": ("sgd", {}),
    "adafactor": ("adafactor", {"relative_step": False, "scale_parameter": False}),
}
_TENSOR = re.compile(r"(model\.layers\.(\d+)\..+\.(\w+))\.lora_([ab])")


def refuse(spec: Spec) -> None:
    """Raise MisuseError where the spec asks for what MLX does not do."""
    foreign_rows.refuse_other(
        spec,
        ("sft", "cot-sft"),
        {
            "span_weights": "MLX counts every learned token alike",
            "quantization": "MLX does not read NF4",
            "patience": "MLX never stops early",
        },
    )
    if spec.ordered:
        raise MisuseError("ordered: MLX shuffles its batches, so a curriculum would be lost")
    _optimizer(spec)
    _keys(spec)
    _refuse_other_precision(spec)


def _refuse_other_precision(spec: Spec) -> None:
    held = str(foreign_rows.base_config(spec).get("dtype") or foreign_rows.base_config(spec).get("torch_dtype"))
    wanted = {"bf16": "bfloat16", "fp32": "float32"}[spec.hyperparameters.precision]
    if held != wanted:
        raise MisuseError(f"precision: MLX trains in the base's own, which is {held} and not {wanted}")


def _optimizer(spec: Spec) -> tuple[str, dict[str, Any]]:
    name = spec.hyperparameters.optimizer
    found = next((mine for start, mine in OPTIMIZERS.items() if name.startswith(start)), None)
    if found is None:
        raise MisuseError(f"optimizer: MLX does not know {name!r}; use one of {', '.join(OPTIMIZERS)}")
    return found


def _keys(spec: Spec) -> list[str] | None:
    """Return the modules by their place in a layer; none means all linear ones."""
    modules = spec.hyperparameters.target_modules
    if isinstance(modules, str):
        return None
    if unknown := sorted(set(modules) - {*ATTENTION, *MLP}):
        raise MisuseError(f"target_modules: it is not known where {unknown[0]!r} stands in a layer of MLX")
    return sorted(f"{'self_attn' if name in ATTENTION else 'mlp'}.{name}" for name in modules)


def config(spec: Spec, work: Path, steps: int, *, validates: bool) -> dict[str, Any]:
    """Return what `mlx_lm.lora --config` is given."""
    values = spec.hyperparameters
    name, settings = _optimizer(spec)
    decays = {} if name == "adafactor" else {"weight_decay": values.weight_decay}
    every = values.accumulation
    keys = _keys(spec)
    return {
        "model": str(work / "model"),
        "data": str(work / "data"),
        "adapter_path": str(work / "adapter"),
        "train": True,
        "fine_tune_type": "lora",
        "mask_prompt": True,
        "seed": spec.seed,
        "optimizer": name,
        "optimizer_config": {name: {**settings, **decays}},
        "learning_rate": values.learning_rate,
        "lr_schedule": _schedule(spec, steps),
        "num_layers": values.layers or -1,
        "lora_parameters": {
            **({"keys": keys} if keys else {}),
            "rank": values.rank,
            "dropout": float(values.dropout),
            "scale": _scale(spec),
        },
        "batch_size": values.batch_size,
        "grad_accumulation_steps": every,
        "iters": steps * every,
        "steps_per_report": max(1, steps // foreign_rows.LOG_LINES) * every,
        "steps_per_eval": values.eval_steps * every if validates else NEVER,
        "val_batches": -1,
        "save_every": NEVER,
        "max_seq_length": values.max_length,
        "grad_checkpoint": values.gradient_checkpointing,
    }


def _scale(spec: Spec) -> float:
    values = spec.hyperparameters
    return float(values.alpha / (math.sqrt(values.rank) if values.variant == "rslora" else values.rank))


def _schedule(spec: Spec, steps: int) -> dict[str, Any]:
    values = spec.hyperparameters
    rise = min(foreign_rows.warmup(values, steps), steps - 1)
    top, left = values.learning_rate, max(1, steps - rise)
    kinds = {
        "cosine": ("cosine_decay", [top, left, 0.0]),
        "linear": ("linear_schedule", [top, 0.0, left]),
        "constant": ("linear_schedule", [top, top, left]),
    }
    if values.scheduler not in kinds:
        raise MisuseError(f"scheduler: MLX does not know {values.scheduler!r}; use one of {', '.join(kinds)}")
    name, arguments = kinds[values.scheduler]
    return {"name": name, "arguments": arguments, **({"warmup": rise} if rise else {})}


def prepare(spec: Spec, work: Path) -> dict[str, int]:
    """Write rows, the view of the base and the configuration; return how many examples and steps there are."""
    import yaml
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(spec.base)
    values = spec.hyperparameters
    (work / "data").mkdir()
    _view(spec.base, work / "model")
    if spec.train is None:
        raise MisuseError("there is no train file")
    examples = _write(spec, spec.train, work / "data" / "train.jsonl", tokenizer)
    validates = bool(values.eval_steps and spec.valid)
    if validates and spec.valid:
        _write(spec, spec.valid, work / "data" / "valid.jsonl", tokenizer)
    steps = foreign_rows.steps(spec, examples)
    (work / CONFIG).write_text(yaml.safe_dump(config(spec, work, steps, validates=validates)))
    return {"examples": examples, "steps": steps}


def _view(base: Path, view: Path) -> None:
    view.mkdir()
    for path in base.iterdir():
        if path.name not in {"chat_template.jinja", "chat_template.json", "tokenizer_config.json"}:
            (view / path.name).symlink_to(path)
    settings = json.loads((base / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (view / "tokenizer_config.json").write_text(json.dumps(settings))
    (view / "chat_template.jinja").write_text(JOINING)


def _write(spec: Spec, source: Path, target: Path, tokenizer: PreTrainedTokenizerBase) -> int:
    """Write every row as two texts; return how many there are. The last batch is filled with rows from the front."""
    written: list[str] = []
    lengths: list[tuple[int, int]] = []
    for number, row in sft_rows.rows(source):
        try:
            text, length = _texts(spec, row, sft_rows.messages_of(source, number, row), tokenizer)
        except MisuseError as error:
            raise MisuseError(f"{source} row {number}: {error}") from error
        written.append(text)
        lengths.append((number, length))
    sft_rows.refuse_long(source, lengths, spec.hyperparameters.max_length)
    # MLX leaves out, in every epoch, the rows that do not fill a batch.
    missing = -len(written) % spec.hyperparameters.batch_size
    filled = [written[place % len(written)] for place in range(len(written) + missing)]
    target.write_text("".join(filled))
    return len(written)


def _texts(
    spec: Spec, row: dict[str, Any], messages: list[dict[str, Any]], tokenizer: PreTrainedTokenizerBase
) -> tuple[str, int]:
    wanted = foreign_rows.lesson(spec)
    tokens = sft_rows.tokens_of(tokenizer, row, messages, wanted)
    if row.get("masks"):
        raise MisuseError("MLX learns whole answers and cannot leave out its masks")
    asked, said = sft_rows.asked_and_said(tokenizer, row, messages, wanted)
    if tokenizer.encode(asked + said, add_special_tokens=False) != tokens["input_ids"]:
        raise MisuseError("its prompt and answer become other tokens when MLX reads them as one text")
    text = {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]}
    return json.dumps(text) + "\n", len(tokens["input_ids"])


class Reader:
    """Tells what MLX reported."""

    def __init__(self, work: Path, steps: int) -> None:
        """Read the reports of a run of so many steps."""
        self._file = foreign_rows.Told(work / "progress.jsonl", steps)
        self._every = _accumulation(work)

    def tell(self) -> None:
        """Tell what is new."""
        for line in self._file.lines():
            step = int(line["iteration"]) // self._every
            if "val_loss" in line:
                self._file.evaluation(step, line["val_loss"])
            else:
                self._file.step(step, line["train_loss"], line.get("tokens_per_second"))


def _accumulation(work: Path) -> int:
    import yaml

    return int(yaml.safe_load((work / CONFIG).read_text())["grad_accumulation_steps"])


def collect(spec: Spec, work: Path) -> dict[str, Any]:
    """Return what the run came to."""
    lines = foreign_rows.Told(work / "progress.jsonl", 1).lines()
    losses = [line for line in lines if "train_loss" in line]
    unseen = [line["val_loss"] for line in lines if "val_loss" in line]
    return {
        "steps": int(losses[-1]["iteration"]) // spec.hyperparameters.accumulation,
        "loss": round(losses[-1]["train_loss"], 6),
        "eval_loss": round(unseen[-1], 6) if unseen else None,
    }


def adapter(spec: Spec, work: Path) -> dict[str, bytes]:
    """Return the adapter's two files in PEFT's form."""
    import mlx.core as mx
    import numpy as np

    found = mx.load(str(work / "adapter" / "adapters.safetensors"))
    tensors = {name: np.array(value.astype(mx.float32)) for name, value in found.items()}
    return in_peft_form(spec, tensors, int(foreign_rows.base_config(spec)["num_hidden_layers"]))


def in_peft_form(spec: Spec, tensors: dict[str, Any], layers: int) -> dict[str, bytes]:
    """Return MLX's tensors as PEFT writes them: other names, and each matrix the other way round."""
    import numpy as np
    from safetensors.numpy import save

    turned, modules, trained = {}, set(), set()
    for name in sorted(tensors):
        match = _TENSOR.fullmatch(name)
        if match is None:
            raise MisuseError(f"MLX left a tensor {name!r} that is no part of a plain adapter")
        modules.add(match[3])
        trained.add(int(match[2]))
        turned[f"base_model.model.{match[1]}.lora_{match[4].upper()}.weight"] = np.ascontiguousarray(tensors[name].T)
    settings = _settings(spec, sorted(modules), sorted(trained) if len(trained) < layers else None)
    return {
        lora_models.CONFIG: (json.dumps(settings, indent=2, sort_keys=True) + "\n").encode(),
        lora_models.WEIGHTS: save(turned, metadata={"format": "pt"}),
    }


def _settings(spec: Spec, modules: list[str], trained: list[int] | None) -> dict[str, Any]:
    values = spec.hyperparameters
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(spec.base),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "layers_pattern": "layers" if trained else None,
        "layers_to_transform": trained,
        "lora_alpha": values.alpha,
        "lora_dropout": values.dropout,
        "modules_to_save": None,
        "r": values.rank,
        "target_modules": modules,
        "use_dora": False,
        "use_rslora": values.variant == "rslora",
    }
