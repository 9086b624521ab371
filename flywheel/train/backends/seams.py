"""What a trainer is to flywheel: a spec becomes a command line that obeys one protocol.

The command runs in the run's folder, writes JSON lines to its output (`started`, `step`,
`eval`, `checkpoint`, `finished`, `failed`), can be killed and started again at any
moment, and leaves `out/result.json` last.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from flywheel.core.frozen import Frozen
from flywheel.core.training import TrainSpec

RESULT = "out/result.json"


class Command(Frozen):
    """What to run, with what around it, and the file the program reads its orders from."""

    argv: tuple[str, ...]
    env: dict[str, str]
    orders: dict[str, Any]


class Places(Frozen):
    """Where everything a run needs lies; `splits` names the parts of the dataset that have rows."""

    python: Path
    base: Path
    dataset: Path
    folder: Path
    splits: frozenset[str] = frozenset()

    @property
    def orders(self) -> Path:
        """Return the file with the program's orders."""
        return self.folder / "spec.json"


class Backend(Protocol):
    """Turns a spec into a command. Pure."""

    def command(self, spec: TrainSpec, places: Places, valid_rows: int) -> Command:
        """Return the command that performs the run."""
        ...


Backends = Mapping[str, Backend]
