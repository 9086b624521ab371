"""Train one LoRA adapter on conversations: `train_sft.py SPEC.json`.

Progress is JSON lines on stdout: started, step, eval, checkpoint, then finished or failed. The adapter lies whole in
out/adapter before out/result.json, written last, says so. A run that was killed goes on from its last sealed
checkpoint and ends with the very same bytes. Exit status: 0 done, 1 failed, 2 asked for the impossible, 143 ended by
SIGTERM. The base is only ever read.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import checkpoints
import progress
import seals
import sft_rows
import sft_specs

if TYPE_CHECKING:
    from trl import SFTConfig, SFTTrainer

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
KEPT_CHECKPOINTS = 3  # the newest may be half written and the best is kept, so a third guarantees one to resume from
LOG_LINES = 200


def _end(_number: int, _frame: Any) -> NoReturn:
    os._exit(143)  # nothing to tidy up: the next start goes on from the last sealed checkpoint


def _finished(result: dict[str, Any]) -> None:
    progress.tell("finished", **{key: result[key] for key in ("steps", "loss", "eval_loss", "seconds")})


def _earlier_result(out: Path) -> dict[str, Any] | None:
    """Return the result that stands already, if its adapter is still what it says."""
    try:
        result: dict[str, Any] = json.loads((out / "result.json").read_text())
        return result if seals.sha256(out / result["adapter"] / WEIGHTS) == result["sha256"] else None
    except (OSError, ValueError, KeyError):
        return None


def _claim(spec: sft_specs.Spec) -> None:
    """Make `out` the home of this very spec; checkpoints of another one must not be gone on from."""
    spec.out.mkdir(parents=True, exist_ok=True)
    claim = spec.out / "started.json"
    if not claim.exists():
        seals.write_last(claim, spec.text())
    elif claim.read_text() != spec.text():
        raise sft_specs.MisuseError(f"{spec.out} belongs to a run with another spec; name another folder")


def _evaluation(values: sft_specs.Hyperparameters) -> dict[str, Any]:
    if not values.eval_steps:
        return {"eval_strategy": "no"}
    best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "greater_is_better": False}
    return {"eval_strategy": "steps", "eval_steps": values.eval_steps, **(best if values.patience else {})}


def _settings(spec: sft_specs.Spec, examples: int) -> SFTConfig:
    import torch
    from trl import SFTConfig

    values = spec.hyperparameters
    steps = values.max_steps
    seen = steps * values.batch_size * values.accumulation
    if spec.ordered and 0 < seen < examples:
        raise sft_specs.MisuseError(
            f"max_steps ends after {seen} of the curriculum's {examples} rows, before the hardest; let epochs decide"
        )
    if steps < 0:
        steps = int(values.epochs * examples / (values.batch_size * values.accumulation))
    return SFTConfig(
        output_dir=str(spec.out / "checkpoints"),
        seed=spec.seed,
        use_cpu=not torch.cuda.is_available(),
        bf16=values.precision == "bf16",
        learning_rate=values.learning_rate,
        lr_scheduler_type=values.scheduler,
        num_train_epochs=values.epochs,
        max_steps=values.max_steps,
        per_device_train_batch_size=values.batch_size,
        per_device_eval_batch_size=values.batch_size,
        gradient_accumulation_steps=values.accumulation,
        warmup_steps=values.warmup if values.warmup < 1 else int(values.warmup),
        weight_decay=values.weight_decay,
        optim=values.optimizer,
        max_length=values.max_length,
        gradient_checkpointing=values.gradient_checkpointing,
        save_strategy="steps" if values.save_steps else "no",
        save_steps=values.save_steps or 1,
        save_total_limit=KEPT_CHECKPOINTS,
        restore_callback_states_from_checkpoint=True,
        logging_steps=max(1, steps // LOG_LINES),
        dataset_kwargs={"skip_prepare_dataset": True},  # the rows come tokenised and measured
        train_sampling_strategy="sequential" if spec.ordered else "random",  # a curriculum is not shuffled
        report_to="none",
        disable_tqdm=True,
        **_evaluation(values),
    )


def _trainer(spec: sft_specs.Spec) -> SFTTrainer:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from sft_callbacks import Teller
    from transformers import AutoModelForCausalLM, AutoTokenizer, EarlyStoppingCallback
    from trl import SFTTrainer

    values = spec.hyperparameters
    tokenizer = AutoTokenizer.from_pretrained(spec.base)
    train = sft_rows.read(spec.train, tokenizer, values.max_length)
    valid = sft_rows.read(spec.valid, tokenizer, values.max_length) if spec.valid and values.eval_steps else None
    dtype = torch.bfloat16 if values.precision == "bf16" else torch.float32
    modules = values.target_modules
    adapter = LoraConfig(
        r=values.rank,
        lora_alpha=values.alpha,
        lora_dropout=values.dropout,
        target_modules=modules if isinstance(modules, str) else sorted(modules),
        task_type="CAUSAL_LM",
    )
    return SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(str(spec.base), dtype=dtype),
        args=_settings(spec, len(train)),
        train_dataset=Dataset.from_list(train),
        eval_dataset=Dataset.from_list(valid) if valid else None,
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=[Teller(len(train)), *([EarlyStoppingCallback(values.patience)] if values.patience else [])],
    )


def _save_adapter(trainer: SFTTrainer, out: Path) -> str:
    """Put the adapter into out/adapter, whole and readable under any user; return the digest of its weights."""
    fresh, final = out / ".adapter", out / "adapter"
    for folder in (fresh, final):
        shutil.rmtree(folder, ignore_errors=True)
    trainer.model.save_pretrained(fresh, save_embedding_layers=False)
    config = json.loads((fresh / CONFIG).read_text())
    config["target_modules"] = sorted(config["target_modules"])  # PEFT writes a set, in any order
    (fresh / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for path in fresh.iterdir():
        if path.name not in {WEIGHTS, CONFIG}:
            path.unlink()
            continue
        path.chmod(0o644)
        seals.fsync(path)
    seals.fsync(fresh)
    fresh.rename(final)
    seals.fsync(out)
    return seals.sha256(final / WEIGHTS)


def _last(history: list[dict[str, Any]], key: str) -> float | None:
    values = [entry[key] for entry in history if key in entry]
    return round(float(values[-1]), 6) if values else None


def _train(spec: sft_specs.Spec, began: float) -> dict[str, Any]:
    from transformers import set_seed

    set_seed(spec.seed)  # before the adapter's first weights are drawn
    trainer = _trainer(spec)
    resumed = checkpoints.newest_whole(spec.out / "checkpoints")
    trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    state = trainer.state
    if trainer.eval_dataset is not None and _last(state.log_history[-2:], "eval_loss") is None:
        trainer.evaluate()
    digest = _save_adapter(trainer, spec.out)
    result = {
        "adapter": "adapter",
        "steps": state.global_step,
        "loss": _last(state.log_history, "loss"),
        "eval_loss": state.best_metric if state.best_metric is not None else _last(state.log_history, "eval_loss"),
        "seconds": round(time.monotonic() - began, 2),
        "sha256": digest,
    }
    seals.write_last(spec.out / "result.json", json.dumps(result, indent=1) + "\n")
    return result


def _run(argv: list[str], began: float) -> None:
    if len(argv) != 1:
        raise sft_specs.MisuseError("usage: train_sft.py SPEC.json")
    spec = sft_specs.read(Path(argv[0]))
    if earlier := _earlier_result(spec.out):
        _finished(earlier)
        return
    _claim(spec)
    _finished(_train(spec, began))


def main(argv: list[str]) -> int:
    """Do the one run that SPEC.json describes; the exit status tells how it ended."""
    began = time.monotonic()
    signal.signal(signal.SIGTERM, _end)
    progress.keep_chatter_off()
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # with more devices the trainer would multiply the batch
    try:
        _run(argv, began)
    except sft_specs.MisuseError as error:
        progress.failed(str(error))
        return 2
    except Exception as error:  # noqa: BLE001 - the edge of the process: whatever went wrong is told in one line
        traceback.print_exc()
        progress.failed(f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
