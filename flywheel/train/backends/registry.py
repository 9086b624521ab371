"""The closed registry of trainers; what each can do stands in `core/trainers.py`."""

from types import MappingProxyType

from flywheel.train.backends.seams import Backends
from flywheel.train.backends.tools import CommandLine
from flywheel.train.backends.trl import Trl
from flywheel.train.backends.unsloth import Unsloth

BACKENDS: Backends = MappingProxyType(
    {
        "trl": Trl(),
        "unsloth": Unsloth(),
        "llama-factory": CommandLine("llama-factory"),
        "mlx": CommandLine("mlx"),
    }
)
