"""The closed registry of trainers."""

from types import MappingProxyType

from flywheel.train.backends.seams import Backends
from flywheel.train.backends.trl import Trl

BACKENDS: Backends = MappingProxyType({"trl": Trl()})
