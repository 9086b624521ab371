"""What the trainer tells while it works: steps, evaluations, and checkpoints once they are sealed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import checkpoints
import progress
import seals
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class Teller(TrainerCallback):
    """Says each event as one JSON line, and seals each checkpoint before it says that it exists."""

    def __init__(self, examples: int, before: int = 0, after: int = 0) -> None:
        """Remember what only the caller knows; `before` and `after` are the steps of the run's other stages."""
        self.examples = examples
        self.before, self.after = before, after
        self.first_step = 0
        self.began = self.told_at = 0.0
        self.told_tokens = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, _control: TrainerControl, **others: Any
    ) -> None:
        """Say what is about to be trained."""
        self.began = self.told_at = time.monotonic()
        self.first_step = state.global_step
        progress.draw(Path(str(args.output_dir)).parent / "tensorboard", self.before + state.global_step + 1)
        weights = others["model"].parameters()
        progress.tell(
            "started",
            steps=self.before + state.max_steps + self.after,
            examples=self.examples,
            trainable_parameters=sum(weight.numel() for weight in weights if weight.requires_grad),
            resumed_from=self.before + state.global_step or None,
            device=str(args.device),
        )

    def on_log(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_others: Any,
    ) -> None:
        """Say how far the run is."""
        if not logs or "loss" not in logs:
            return
        now, tokens = time.monotonic(), float(logs.get("num_tokens", 0.0))
        pace = (now - self.began) / max(1, state.global_step - self.first_step)
        progress.tell(
            "step",
            step=self.before + state.global_step,
            of=self.before + state.max_steps + self.after,
            loss=round(float(logs["loss"]), 6),
            learning_rate=float(logs.get("learning_rate", 0.0)),
            tokens_per_second=round((tokens - self.told_tokens) / max(now - self.told_at, 1e-9), 1),
            eta_seconds=round(pace * (state.max_steps - state.global_step + self.after), 1),
        )
        self.told_at, self.told_tokens = now, tokens

    def on_evaluate(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_others: Any,
    ) -> None:
        """Say what the held-out loss is."""
        if metrics and "eval_loss" in metrics:
            progress.tell("eval", step=self.before + state.global_step, loss=round(metrics["eval_loss"], 6))

    def on_save(self, args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_others: Any) -> None:
        """Seal the checkpoint; only from here on may a run go on from it."""
        seals.seal(Path(str(args.output_dir)) / f"{checkpoints.PREFIX}{state.global_step}")
        progress.tell("checkpoint", step=self.before + state.global_step)
