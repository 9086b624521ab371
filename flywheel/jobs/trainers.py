"""TRL's trainers as this house needs them: rows come tokenised, sections can weigh, and a reference is proved first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from sft_rows import IGNORED
from trl import DPOTrainer, KTOTrainer, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

INDIFFERENT = math.log(2)  # what the sigmoid loss is while the model still is its reference
TOLERANCE = 1e-3  # both passes are the same computation; a device may round them differently


class WrongReferenceError(Exception):
    """The model that a stage starts from is not the one that it is measured against."""


class WeightsCollator(DataCollatorForLanguageModeling):
    """Collates the weights of the tokens beside the tokens."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the batch with its weights, padded like the labels."""
        batch = super().torch_call(examples)
        weights = torch.zeros(batch["labels"].shape, dtype=torch.float32)
        for place, example in enumerate(examples):
            weights[place, : len(example["loss_weights"])] = torch.tensor(example["loss_weights"])
        return {**batch, "loss_weights": weights}


class WeighingTrainer(SFTTrainer):
    """Plain training in which each token's loss counts as much as its weight; with all weights 1 nothing differs."""

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if "loss_weights" not in self._signature_columns:
            self._signature_columns.append("loss_weights")

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        # The mean is over weights, not tokens, and over all that is accumulated: so 16 x 1 is 4 x 4.
        if super()._get_num_items_in_batch(batch_samples, device) is None:
            return None
        return sum(_counted(batch).sum() for batch in batch_samples).to(device)

    def compute_loss(self, model: Any, inputs: dict[str, Any], *others: Any, **more: Any) -> Any:
        """Return the stock loss of a model whose log-probabilities are weighted."""
        counted = _counted(inputs)
        weights = inputs.pop("loss_weights")[:, 1:]
        if more.get("num_items_in_batch") is None:
            more["num_items_in_batch"] = counted.sum()

        def weighed(**given: Any) -> Any:
            outputs = model(**given)
            outputs.log_probs = outputs.log_probs * weights
            return outputs

        return super().compute_loss(weighed, inputs, *others, **more)


def _counted(batch: dict[str, Any]) -> torch.Tensor:
    """Return the weights of the tokens that have a label."""
    weights: torch.Tensor = batch["loss_weights"][:, 1:]
    return weights.masked_fill(batch["labels"][:, 1:] == IGNORED, 0.0)


class PairTrainer(DPOTrainer):
    """DPO that proves its reference before the first step, and tells what the proof was."""

    first_loss: float | None = None

    def _prepare_dataset(self, dataset: Any, *_others: Any) -> Any:
        return dataset  # tokenised and measured already

    def training_step(self, model: Any, inputs: Any, *others: Any, **more: Any) -> torch.Tensor:
        """Train one batch; the very first only after the sigmoid part of its loss was seen to be ln 2."""
        if self.state.global_step == 0 and self.first_loss is None:
            self.first_loss = self._sigmoid_loss(model, inputs)
            if abs(self.first_loss - INDIFFERENT) > TOLERANCE:
                raise WrongReferenceError(
                    f"the first loss against the reference is {self.first_loss:.6f} and not ln 2 = {INDIFFERENT:.6f}: "
                    "the model does not start as its own reference"
                )
        return super().training_step(model, inputs, *others, **more)

    def _sigmoid_loss(self, model: Any, inputs: Any) -> float:
        tokens = self._total_train_tokens
        with torch.no_grad(), self._sigmoid_alone(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, self._prepare_inputs(inputs)).item()
        self._total_train_tokens = tokens
        self._metrics["train"].clear()
        return float(loss)

    @contextmanager
    def _sigmoid_alone(self) -> Iterator[None]:
        kept = self.loss_types, self.loss_weights
        self.loss_types, self.loss_weights = ["sigmoid"], [1.0]
        try:
            yield
        finally:
            self.loss_types, self.loss_weights = kept


class JudgementTrainer(KTOTrainer):
    """KTO over rows that are in their final order and have their strangers' answers beside them."""

    def _prepare_dataset(self, dataset: Any, *_others: Any) -> Any:
        return dataset
