"""One stage of a run, from its rows to its adapter: it goes on from its last sealed checkpoint; its result is last."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lora_models
import preference_rows
import resumptions
import seals
import sft_rows
import starts
import train_settings
from train_specs import REASONED, Spec
from train_stages import Stage, refuse_cut

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Trainer

RESULT = "result.json"
Rows = list[dict[str, Any]]


def earlier(out: Path) -> dict[str, Any] | None:
    """Return the result that stands already, if its adapter is still what it says."""
    try:
        result: dict[str, Any] = json.loads((out / RESULT).read_text())
        return result if seals.sha256(out / result["adapter"] / lora_models.WEIGHTS) == result["sha256"] else None
    except (OSError, ValueError, KeyError):
        return None


def count_rows(stage: Stage) -> int:
    """Return how many examples a stage learns from."""
    return sum(1 for _ in sft_rows.rows(stage.train))


def run(spec: Spec, stage: Stage, done: dict[str, Any], after: int) -> dict[str, Any]:
    """Train one stage and return its result; `done` is what the stage before left, `after` the steps still to come."""
    began = time.monotonic()
    trainer = _trainer(spec, stage, done["steps"], after)
    resumptions.train(trainer, stage.checkpoints)
    state = trainer.state
    if trainer.eval_dataset is not None and _last(state.log_history[-2:], "eval_loss") is None:
        trainer.evaluate()
    result = {
        "adapter": "adapter",
        "steps": done["steps"] + state.global_step,
        "loss": _last(state.log_history, "loss"),
        "eval_loss": state.best_metric if state.best_metric is not None else _last(state.log_history, "eval_loss"),
        "seconds": round(done["seconds"] + time.monotonic() - began, 2),
        "sha256": lora_models.save(trainer.model, stage.out),
    }
    seals.write_last(stage.out / RESULT, json.dumps(result, indent=1) + "\n")
    return result


def _last(history: list[dict[str, Any]], key: str) -> float | None:
    values = [entry[key] for entry in history if key in entry]
    return round(float(values[-1]), 6) if values else None


def _trainer(spec: Spec, stage: Stage, before: int, after: int) -> Trainer:
    with starts.undisturbed():
        from transformers import AutoTokenizer

    values = spec.hyperparameters
    tokenizer = AutoTokenizer.from_pretrained(spec.base)
    train = _rows(spec, stage, stage.train, tokenizer)
    refuse_cut(stage, spec, len(train))
    seen = stage.valid if values.eval_steps else None
    valid = _rows(spec, stage, seen, tokenizer) if seen else None
    # Only now, because it takes seconds: what is wrong with the rows was told at once.
    starts.load_training(spec.base, values.optimizer, values.quantization)
    from datasets import Dataset
    from sft_callbacks import Teller
    from transformers import EarlyStoppingCallback, set_seed

    set_seed(spec.seed)  # before the adapter's first weights are drawn
    patient = [EarlyStoppingCallback(values.patience)] if values.patience and valid else []
    return MAKERS[stage.kind](
        spec,
        stage,
        train,
        train_dataset=Dataset.from_list(train),
        eval_dataset=Dataset.from_list(valid) if valid else None,
        processing_class=tokenizer,
        callbacks=[Teller(len(train), before, after), *patient],
    )


def _rows(spec: Spec, stage: Stage, path: Path, tokenizer: PreTrainedTokenizerBase) -> Rows:
    values = spec.hyperparameters
    if stage.kind == "sft":
        lesson = sft_rows.Lesson(spec.technique in REASONED, values.span_weights)
        return sft_rows.read(path, tokenizer, values.max_length, lesson)
    if stage.kind == "dpo":
        return preference_rows.read_pairs(path, tokenizer, values.max_length)
    rows = preference_rows.read_judged(path, tokenizer, values.max_length)
    if path == stage.train:
        preference_rows.refuse_lopsided(path, rows)
        rows = rows if spec.ordered else preference_rows.mixed(rows, spec.seed)
    return preference_rows.with_strangers(rows, values.batch_size)


def _sft(spec: Spec, stage: Stage, train: Rows, **given: Any) -> Trainer:
    from trainers import WeighingTrainer, WeightsCollator
    from trl import SFTTrainer

    model = lora_models.load_base(spec)
    given |= {"model": model, "peft_config": lora_models.lora(spec, model)}
    given["args"] = train_settings.sft(spec, stage, len(train))
    if not spec.hyperparameters.span_weights:
        return SFTTrainer(**given)
    return WeighingTrainer(data_collator=WeightsCollator(given["processing_class"].pad_token_id), **given)


def _dpo(spec: Spec, stage: Stage, train: Rows, **given: Any) -> Trainer:
    from trainers import PairTrainer

    model = lora_models.load_base(spec)
    given["args"] = train_settings.dpo(spec, stage, len(train))
    if stage.start is None:  # the reference is the base: the same model with its adapter switched off
        return PairTrainer(model=model, peft_config=lora_models.lora(spec, model), **given)
    return PairTrainer(model=lora_models.load_adapter(model, stage.start), **given)


def _kto(spec: Spec, stage: Stage, train: Rows, **given: Any) -> Trainer:
    from trainers import JudgementTrainer

    model = lora_models.load_base(spec)
    given["args"] = train_settings.kto(spec, stage, len(train), preference_rows.balance(train))
    return JudgementTrainer(model=model, peft_config=lora_models.lora(spec, model), **given)


#: How each kind of stage gets its trainer; a job for another library puts its own in place.
MAKERS = {"sft": _sft, "dpo": _dpo, "kto": _kto}
