"""TRL and PEFT in the train environment: the default trainer."""

from pathlib import Path

from flywheel.core.training import TrainSpec
from flywheel.train.backends.seams import Command, Places

_JOB = Path(__file__).parent.parent.parent / "jobs" / "train_sft.py"

ENV = {
    "OMP_NUM_THREADS": "1",  # two threads on a busy machine were measured ten times slower on small models
    "PYTHONHASHSEED": "0",  # the same spec gives the same bytes
    "PYTHONUNBUFFERED": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",  # a base is a folder on this machine, never a download in passing
    "HF_DATASETS_OFFLINE": "1",
    "WANDB_DISABLED": "true",
}


class Trl:
    """Supervised fine-tuning by `jobs/train_sft.py`."""

    def command(self, spec: TrainSpec, places: Places, valid_rows: int) -> Command:
        """Return the command that performs the run."""
        # Without rows to validate on there is nothing to evaluate, and nothing to be patient about.
        unseen = {} if valid_rows else {"eval_steps": 0, "patience": 0}
        return Command(
            argv=(str(places.python), str(_JOB), str(places.orders)),
            env=ENV,
            orders={
                "base": str(places.base),
                "train": str(places.dataset / "train.jsonl"),
                "valid": str(places.dataset / "valid.jsonl") if valid_rows else None,
                "out": str(places.folder / "out"),
                "seed": spec.seed,
                "ordered": spec.ordered,
                "hyperparameters": {**spec.hyperparameters.model_dump(mode="json"), **unseen},
            },
        )
