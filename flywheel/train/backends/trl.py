"""TRL and PEFT in the train environment: the default trainer."""

from pathlib import Path
from types import MappingProxyType

from flywheel.core.training import LEARNED_FROM, TrainSpec
from flywheel.train.backends.seams import Command, Places

_JOB = Path(__file__).parent.parent.parent / "jobs" / "train_adapter.py"

ENV = {
    "OMP_NUM_THREADS": "1",  # two threads on a busy machine were measured ten times slower on small models
    "PYTHONHASHSEED": "0",  # the same spec gives the same bytes
    "PYTHONUNBUFFERED": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",  # a base is a folder on this machine, never a download in passing
    "HF_DATASETS_OFFLINE": "1",
    "WANDB_DISABLED": "true",
}
#: The same buffers come and go in every step. Given back to the kernel each time they cost two page faults in three,
#: and a tenth of a small model's run on a CPU; kept, they cost at most the trim threshold. Read by glibc alone.
KEEP_BUFFERS = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}


#: What each part of a dataset that is learned from is evaluated on.
UNSEEN = MappingProxyType({"train": "valid", "pairs": "pairs_valid", "judged": "judged_valid"})


class Trl:
    """Every technique by `jobs/train_adapter.py`."""

    def command(self, spec: TrainSpec, places: Places, valid_rows: int) -> Command:
        """Return the command that performs the run."""
        found = places.splits | ({"valid"} if valid_rows else set())
        learned = LEARNED_FROM[spec.technique]
        unseen = [UNSEEN[part] for part in learned if UNSEEN[part] in found]
        named = {*learned, *unseen}
        # Without rows to validate on there is nothing to evaluate, and nothing to be patient about.
        blind = {} if unseen else {"eval_steps": 0, "patience": 0}
        return Command(
            argv=(str(places.python), str(_JOB), str(places.orders)),
            env={**ENV, **KEEP_BUFFERS},
            orders={
                "base": str(places.base),
                "out": str(places.folder / "out"),
                "seed": spec.seed,
                "technique": spec.technique,
                "ordered": spec.ordered,
                "hyperparameters": {**spec.hyperparameters.model_dump(mode="json"), **blind},
                **{
                    part: str(places.dataset / f"{part}.jsonl") if part in named else None
                    for both in UNSEEN.items()
                    for part in both
                },
            },
        )
