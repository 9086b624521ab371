"""Unsloth in an environment of its own: faster on CUDA, on a CPU slower than plain TRL."""

from pathlib import Path

from flywheel.core.training import TrainSpec
from flywheel.train.backends.seams import Command, Places
from flywheel.train.backends.trl import Trl

_JOB = Path(__file__).parent.parent.parent / "jobs" / "train_unsloth.py"


class Unsloth:
    """Answers and reasoning by `jobs/train_unsloth.py`, which reads the same orders as TRL's job."""

    def command(self, spec: TrainSpec, places: Places, valid_rows: int) -> Command:
        """Return the command that performs the run."""
        plain = Trl().command(spec, places, valid_rows)
        # What Unsloth compiles stays in the run's folder: two runs never share a half-written file.
        own = {"UNSLOTH_COMPILE_LOCATION": str(places.folder / "compiled"), "UNSLOTH_DISABLE_STATISTICS": "1"}
        return Command(
            argv=(str(places.python), str(_JOB), str(places.orders)), env={**plain.env, **own}, orders=plain.orders
        )
