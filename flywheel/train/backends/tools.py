"""Trainers that are programs with a configuration file of their own: LLaMA-Factory and MLX."""

from pathlib import Path
from typing import Literal

from flywheel.core.training import TrainSpec
from flywheel.train.backends.seams import Command, Places
from flywheel.train.backends.trl import Trl

Tool = Literal["llama-factory", "mlx"]

_JOB = Path(__file__).parent.parent.parent / "jobs" / "run_foreign_trainer.py"


class CommandLine:
    """Writes the tool's configuration, runs it as a child and speaks the protocol for it."""

    def __init__(self, tool: Tool) -> None:
        """Stand for one tool."""
        self._tool = tool

    def command(self, spec: TrainSpec, places: Places, valid_rows: int) -> Command:
        """Return the command that performs the run; the job reads the same orders as TRL's."""
        plain = Trl().command(spec, places, valid_rows)
        argv = (str(places.python), str(_JOB), self._tool, str(places.orders))
        return Command(argv=argv, env=plain.env, orders=plain.orders)
