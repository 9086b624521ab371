"""The stages of a run: one for each technique, but SFT and then DPO, whose first stage ends in an adapter of its own.

A stage is a run by itself: its checkpoints lie beside what it leaves, and what a finished stage left stands. The last
stage works in `out` itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from train_specs import Hyperparameters, MisuseError, Spec

FIRST = "stage-1"


@dataclass(frozen=True, slots=True)
class Stage:
    """One trainer's work: what it learns from, where it leaves it, and what it starts from."""

    kind: str
    train: Path
    valid: Path | None
    out: Path
    learning_rate: float
    epochs: float
    max_steps: int
    start: Path | None = None

    @property
    def checkpoints(self) -> Path:
        """Return where its checkpoints lie."""
        return self.out / "checkpoints"


def stages(spec: Spec) -> list[Stage]:
    """Return the stages of a run, in their order."""
    values = spec.hyperparameters
    pace = (values.learning_rate, values.epochs, values.max_steps)
    if spec.technique in {"sft", "cot-sft"}:
        return [Stage("sft", _path(spec.train), spec.valid, spec.out, *pace)]
    if spec.technique == "kto":
        return [Stage("kto", _path(spec.judged), spec.judged_valid, spec.out, *pace)]
    if spec.technique == "dpo":
        return [Stage("dpo", _path(spec.pairs), spec.pairs_valid, spec.out, *pace)]
    first = Stage("sft", _path(spec.train), spec.valid, spec.out / FIRST, *pace)
    wishes = values.preference
    pace = (wishes.learning_rate, wishes.epochs, wishes.max_steps)
    return [first, Stage("dpo", _path(spec.pairs), spec.pairs_valid, spec.out, *pace, first.out / "adapter")]


def _path(path: Path | None) -> Path:
    if path is None:
        raise MisuseError("a stage has no file to learn from")
    return path


def planned_steps(stage: Stage, values: Hyperparameters, examples: int) -> int:
    """Return how many optimiser steps a stage takes, as the trainer itself counts them."""
    if stage.max_steps > 0:
        return stage.max_steps
    batches = math.ceil(examples / values.batch_size)
    return math.ceil(stage.epochs * max(1, math.ceil(batches / values.accumulation)))


def refuse_cut(stage: Stage, spec: Spec, examples: int) -> None:
    """Raise MisuseError where the steps would end before a curriculum does."""
    values = spec.hyperparameters
    seen = stage.max_steps * values.batch_size * values.accumulation
    if spec.ordered and 0 < seen < examples:
        raise MisuseError(
            f"max_steps ends after {seen} of the curriculum's {examples} rows, before the hardest; let epochs decide"
        )
