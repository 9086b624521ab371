"""LLaMA-Factory's `llamafactory-cli train`: its configuration, its data, and its adapter.

It would render rows by templates of its own. It is given tokens and labels instead, made here as for every trainer,
in the folder that its `tokenized_path` names; `dataset_info.json` says what they were made from, as it wants to know.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import foreign_rows
import lora_models
import preference_rows
import sft_rows
from train_specs import MisuseError, Spec

CONFIG = "llama-factory.yaml"
TECHNIQUES = {"sft": "sft", "cot-sft": "sft", "dpo": "dpo"}


def refuse(spec: Spec) -> None:
    """Raise MisuseError where the spec asks for what LLaMA-Factory does not do."""
    foreign_rows.refuse_other(
        spec,
        tuple(TECHNIQUES),
        {
            "span_weights": "LLaMA-Factory counts every learned token alike",
            "layers": "LLaMA-Factory trains all layers",
        },
    )
    if spec.hyperparameters.alpha != int(spec.hyperparameters.alpha):
        raise MisuseError("alpha: LLaMA-Factory takes a whole number")


def config(spec: Spec, work: Path, steps: int, *, validates: bool, cuda: bool) -> dict[str, Any]:
    """Return what `llamafactory-cli train` is given."""
    return {
        **_model(spec),
        **_data(spec, work, validates=validates),
        **_adapter(spec),
        **_training(spec, work, steps),
        **_evaluation(spec, validates=validates),
        "use_cpu": not cuda,
    }


def _model(spec: Spec) -> dict[str, Any]:
    values = spec.hyperparameters
    four_bits = {
        "quantization_method": "bnb",
        "quantization_bit": 4,
        "quantization_type": "nf4",
        "double_quantization": True,
    }
    return {
        "model_name_or_path": str(spec.base),
        "trust_remote_code": False,
        "infer_dtype": "bfloat16" if values.precision == "bf16" else "float32",
        "disable_gradient_checkpointing": not values.gradient_checkpointing,
        **(four_bits if values.quantization == "nf4" else {}),
    }


def _data(spec: Spec, work: Path, *, validates: bool) -> dict[str, Any]:
    unseen = {"eval_dataset": "flywheel_valid", "do_eval": True} if validates else {}
    return {
        "dataset": "flywheel_train",
        "dataset_dir": str(work / "data"),
        "tokenized_path": str(work / "tokens"),
        "template": "empty",
        "cutoff_len": spec.hyperparameters.max_length,
        **unseen,
    }


def _adapter(spec: Spec) -> dict[str, Any]:
    values = spec.hyperparameters
    modules, wishes = values.target_modules, values.preference
    pairs = {"pref_loss": "sigmoid", "pref_beta": wishes.beta, "pref_ftx": wishes.sft_weight}
    return {
        "stage": TECHNIQUES[spec.technique],
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": values.rank,
        "lora_alpha": int(values.alpha),
        "lora_dropout": values.dropout,
        "lora_target": "all" if isinstance(modules, str) else ",".join(sorted(modules)),
        "use_rslora": values.variant == "rslora",
        "disable_shuffling": spec.ordered,
        **(pairs if spec.technique == "dpo" else {}),
    }


def _training(spec: Spec, work: Path, steps: int) -> dict[str, Any]:
    values = spec.hyperparameters
    return {
        "output_dir": str(work / "output"),
        "seed": spec.seed,
        "bf16": values.precision == "bf16",
        "learning_rate": values.learning_rate,
        "lr_scheduler_type": values.scheduler,
        "num_train_epochs": float(values.epochs),
        "max_steps": values.max_steps,
        "per_device_train_batch_size": values.batch_size,
        "per_device_eval_batch_size": values.batch_size,
        "gradient_accumulation_steps": values.accumulation,
        "warmup_steps": values.warmup if values.warmup < 1 else int(values.warmup),
        "weight_decay": values.weight_decay,
        "optim": values.optimizer,
        "logging_steps": max(1, steps // foreign_rows.LOG_LINES),
        "include_num_input_tokens_seen": True,
        "report_to": "none",
        "disable_tqdm": True,
    }


def _evaluation(spec: Spec, *, validates: bool) -> dict[str, Any]:
    values = spec.hyperparameters
    if not validates:
        return {"save_strategy": "no", "eval_strategy": "no"}
    looks = {"eval_strategy": "steps", "eval_steps": values.eval_steps}
    if not values.patience:
        return {"save_strategy": "no", **looks}
    return {
        **looks,
        "early_stopping_steps": values.patience,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "save_strategy": "steps",
        "save_steps": values.save_steps,
        "save_total_limit": 2,
    }


def dataset_info(spec: Spec) -> dict[str, Any]:
    """Return what `dataset_info.json` says of the rows."""
    train, valid = (spec.pairs, spec.pairs_valid) if spec.technique == "dpo" else (spec.train, spec.valid)
    names = {"flywheel_train": train, "flywheel_valid": valid}
    if spec.technique == "dpo":
        shape: dict[str, Any] = {"ranking": True, "columns": {"messages": "prompt", "chosen": "chosen"}}
        shape["columns"]["rejected"] = "rejected"
    else:
        shape = {"columns": {"messages": "messages", "tools": "tools"}}
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    return {
        name: {"file_name": str(path), "formatting": "sharegpt", **shape, "tags": tags}
        for name, path in names.items()
        if path is not None
    }


def prepare(spec: Spec, work: Path) -> dict[str, int]:
    """Write tokens, labels and the configuration; return how many examples and steps there are."""
    import torch
    import yaml
    from datasets import Dataset, DatasetDict
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(spec.base)
    train, valid = (spec.pairs, spec.pairs_valid) if spec.technique == "dpo" else (spec.train, spec.valid)
    if train is None:
        raise MisuseError(f"technique {spec.technique} needs a file of rows")
    validates = bool(spec.hyperparameters.eval_steps and valid)
    files = {"train": train, **({"validation": valid} if validates and valid else {})}
    rows = {name: _rows(spec, path, tokenizer) for name, path in files.items()}
    DatasetDict({name: Dataset.from_list(found) for name, found in rows.items()}).save_to_disk(work / "tokens")
    steps = foreign_rows.steps(spec, len(rows["train"]))
    (work / "data").mkdir()
    (work / "data" / "dataset_info.json").write_text(json.dumps(dataset_info(spec), indent=1))
    given = config(spec, work, steps, validates=validates, cuda=torch.cuda.is_available())
    (work / CONFIG).write_text(yaml.safe_dump(given))
    return {"examples": len(rows["train"]), "steps": steps}


def _rows(spec: Spec, path: Path, tokenizer: Any) -> list[dict[str, Any]]:
    longest = spec.hyperparameters.max_length
    if spec.technique == "dpo":
        return [_pair(row) for row in preference_rows.read_pairs(path, tokenizer, longest)]
    rows = sft_rows.read(path, tokenizer, longest, foreign_rows.lesson(spec))
    return [{**row, "attention_mask": [1] * len(row["input_ids"])} for row in rows]


def _pair(row: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"images": None, "videos": None, "audios": None}  # its collator asks for them
    for kind in ("chosen", "rejected"):
        answer = row[f"{kind}_ids"]
        tokens = row["prompt_ids"] + answer
        made[f"{kind}_input_ids"] = tokens
        made[f"{kind}_attention_mask"] = [1] * len(tokens)
        made[f"{kind}_labels"] = [sft_rows.IGNORED] * len(row["prompt_ids"]) + answer
    return made


class Reader:
    """Tells what stands in LLaMA-Factory's `trainer_log.jsonl`."""

    def __init__(self, work: Path, steps: int) -> None:
        """Read the log of a run of so many steps."""
        self._file = foreign_rows.Told(work / "output" / "trainer_log.jsonl", steps)

    def tell(self) -> None:
        """Tell what is new."""
        for line in self._file.lines():
            step = int(line["current_steps"])
            if "eval_loss" in line:
                self._file.evaluation(step, line["eval_loss"])
            elif "loss" in line:
                self._file.step(step, line["loss"], line.get("throughput"))


def collect(_spec: Spec, work: Path) -> dict[str, Any]:
    """Return what the run came to."""
    state = json.loads((work / "output" / "trainer_state.json").read_text())
    best = state.get("best_metric")
    return {
        "steps": state["global_step"],
        "loss": _last(state["log_history"], "loss"),
        "eval_loss": best if best is not None else _last(state["log_history"], "eval_loss"),
    }


def _last(history: list[dict[str, Any]], key: str) -> float | None:
    values = [entry[key] for entry in history if key in entry]
    return round(float(values[-1]), 6) if values else None


def adapter(spec: Spec, work: Path) -> dict[str, bytes]:
    """Return the adapter's two files."""
    settings = json.loads((work / "output" / lora_models.CONFIG).read_text())
    settings |= {"target_modules": sorted(settings["target_modules"]), "base_model_name_or_path": str(spec.base)}
    return {
        lora_models.CONFIG: (json.dumps(settings, indent=2, sort_keys=True) + "\n").encode(),
        lora_models.WEIGHTS: (work / "output" / lora_models.WEIGHTS).read_bytes(),
    }
