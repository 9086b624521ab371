"""Going on from a checkpoint: a run that was killed ends as if nobody had touched it, wherever that was.

The trainer itself takes one step more when it is resumed from a checkpoint in the middle of an epoch that was the run's
last, because its steps were counted down or its patience had run out. Such a checkpoint is only taken up again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import checkpoints

if TYPE_CHECKING:
    from transformers import Trainer

_STATE = "trainer_state.json"


def train(trainer: Trainer, root: Path) -> None:
    """Train from the newest whole checkpoint below `root` on, or from the beginning where there is none."""
    resumed = checkpoints.newest_whole(root)
    if resumed is not None and is_last(resumed):
        _take_up(trainer, resumed)
    else:
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)


def is_last(checkpoint: Path) -> bool:
    """Tell whether training had ended when a checkpoint was saved: its steps were done, or its patience was."""
    state = json.loads((checkpoint / _STATE).read_text())
    control = state.get("stateful_callbacks", {}).get("TrainerControl", {})
    return state["global_step"] >= state["max_steps"] or bool(control.get("args", {}).get("should_training_stop"))


def _take_up(trainer: Trainer, checkpoint: Path) -> None:
    """Put the trainer where it was at the end of training: its history, and the weights that count."""
    from peft import load_peft_weights, set_peft_model_state_dict
    from transformers import TrainerState

    state = TrainerState.load_from_json(str(checkpoint / _STATE))
    best = state.best_model_checkpoint if trainer.args.load_best_model_at_end else None
    source = checkpoint.parent / Path(best).name if best else checkpoint
    set_peft_model_state_dict(trainer.model, load_peft_weights(str(source), device=str(trainer.args.device)))
    trainer.state = state
