"""What foreign trainers have in common: the plan of a run, and the reading of the file in which they report."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import progress
import sft_rows
import train_stages
from train_specs import Hyperparameters, MisuseError, Spec

LOG_LINES = 200


def lesson(spec: Spec) -> sft_rows.Lesson:
    """Return what is wanted of the answers."""
    return sft_rows.Lesson(reasoning=spec.technique == "cot-sft")


def steps(spec: Spec, examples: int) -> int:
    """Return how many optimiser steps a run takes, as every trainer here counts them."""
    (stage,) = train_stages.stages(spec)
    train_stages.refuse_cut(stage, spec, examples)
    return train_stages.planned_steps(stage, spec.hyperparameters, examples)


def warmup(values: Hyperparameters, of: int) -> int:
    """Return the steps in which the learning rate rises."""
    return math.ceil(values.warmup * of) if values.warmup < 1 else int(values.warmup)


def base_config(spec: Spec) -> dict[str, Any]:
    """Return the base's own configuration."""
    config: dict[str, Any] = json.loads((spec.base / "config.json").read_text())
    return config


def refuse_other(spec: Spec, techniques: tuple[str, ...], unable: dict[str, str]) -> None:
    """Raise MisuseError where the spec asks for a technique or a value that the tool has no place for."""
    if spec.technique not in techniques:
        raise MisuseError(f"this trainer does not do {spec.technique}; it does {', '.join(techniques)}")
    usual = {"span_weights": {}, "quantization": "none", "patience": 0, "layers": 0}
    for key, reason in unable.items():
        if getattr(spec.hyperparameters, key) != usual[key]:
            raise MisuseError(f"{key}: {reason}")


class Told:
    """A file of JSON lines that grows: each whole line is read once, and its place in the run is told."""

    def __init__(self, path: Path, of: int) -> None:
        """Read this file of a run of so many steps."""
        self._path = path
        self._of = of
        self._offset = 0
        self._began = time.monotonic()

    def lines(self) -> list[dict[str, Any]]:
        """Return what was written since the last look."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [json.loads(line) for line in whole.splitlines() if line.strip()]

    def step(self, step: int, loss: float, pace: float | None) -> None:
        """Tell a training loss."""
        left = (time.monotonic() - self._began) / max(1, step) * (self._of - step)
        rate = {} if pace is None else {"tokens_per_second": round(pace, 1)}
        progress.tell("step", step=step, of=self._of, loss=round(loss, 6), **rate, eta_seconds=round(left, 1))

    def evaluation(self, step: int, loss: float) -> None:
        """Tell a validation loss."""
        progress.tell("eval", step=step, loss=round(loss, 6))
