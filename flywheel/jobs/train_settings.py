"""What TRL's trainers are told: one place for what all of them share, one function for what each has of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from train_specs import Spec
from train_stages import Stage, planned_steps

if TYPE_CHECKING:
    from trl import DPOConfig, KTOConfig, SFTConfig

KEPT_CHECKPOINTS = 3  # the newest may be half written and the best is kept, so a third guarantees one to resume from
LOG_LINES = 200


def _evaluation(spec: Spec, stage: Stage) -> dict[str, Any]:
    values = spec.hyperparameters
    if not values.eval_steps or stage.valid is None:
        return {"eval_strategy": "no"}
    best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "greater_is_better": False}
    return {
        "eval_strategy": "steps",
        "eval_steps": values.eval_steps,
        **(best if values.patience else {}),
    }


def _shared(spec: Spec, stage: Stage, examples: int) -> dict[str, Any]:
    import torch

    values = spec.hyperparameters
    return {
        "output_dir": str(stage.checkpoints),
        "seed": spec.seed,
        "use_cpu": not torch.cuda.is_available(),
        "bf16": values.precision == "bf16",
        "learning_rate": stage.learning_rate,
        "lr_scheduler_type": values.scheduler,
        "num_train_epochs": stage.epochs,
        "max_steps": stage.max_steps,
        "per_device_train_batch_size": values.batch_size,
        "per_device_eval_batch_size": values.batch_size,
        "gradient_accumulation_steps": values.accumulation,
        "warmup_steps": values.warmup if values.warmup < 1 else int(values.warmup),
        "weight_decay": values.weight_decay,
        "optim": values.optimizer,
        "max_length": values.max_length,
        "gradient_checkpointing": values.gradient_checkpointing,
        "save_strategy": "steps" if values.save_steps else "no",
        "save_steps": values.save_steps or 1,
        "save_total_limit": KEPT_CHECKPOINTS,
        "restore_callback_states_from_checkpoint": True,
        "logging_steps": max(1, planned_steps(stage, values, examples) // LOG_LINES),
        "report_to": "none",
        "disable_tqdm": True,
        **_evaluation(spec, stage),
    }


def _order(spec: Spec) -> str:
    return "sequential" if spec.ordered else "random"  # a curriculum is not shuffled


def sft(spec: Spec, stage: Stage, examples: int) -> SFTConfig:
    """Return the settings of plain training."""
    from trl import SFTConfig

    return SFTConfig(
        dataset_kwargs={"skip_prepare_dataset": True},  # the rows come tokenised and measured
        train_sampling_strategy=_order(spec),
        **_shared(spec, stage, examples),
    )


def dpo(spec: Spec, stage: Stage, examples: int) -> DPOConfig:
    """Return the settings of training on pairs: the sigmoid loss, and so much of the plain loss on the chosen."""
    from trl import DPOConfig

    wishes = spec.hyperparameters.preference
    plain = {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, wishes.sft_weight]}
    return DPOConfig(
        beta=wishes.beta,
        train_sampling_strategy=_order(spec),
        **(plain if wishes.sft_weight else {"loss_type": ["sigmoid"]}),
        **_shared(spec, stage, examples),
    )


def kto(spec: Spec, stage: Stage, examples: int, weights: tuple[float, float]) -> KTOConfig:
    """Return the settings of training on single judgements, whose rows come in their final order."""
    from trl import KTOConfig

    return KTOConfig(
        beta=spec.hyperparameters.preference.beta,
        desirable_weight=weights[0],
        undesirable_weight=weights[1],
        train_sampling_strategy="sequential",
        **_shared(spec, stage, examples),
    )
