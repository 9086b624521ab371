"""What a LoRA's tensors must be on a base: whole, finite, of its modules and in their widths; by our own reading."""

import json
import re
from pathlib import Path
from typing import Any

from flywheel.core.errors import CorruptError, UnavailableError
from flywheel.proc.tensors import Tensor, first_unsound, read_header

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
#: Files that run code when they are read as their libraries read them.
PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"})

_LORA = re.compile(r"^base_model\.model\.(?P<module>.+)\.lora_(?P<half>[AB])\.weight$")
_MATRIX = 2
_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})


def pickle_in(folder: Path) -> str | None:
    """Return the name of the first file of an adapter's folder that is a pickle, or None."""
    return next((path.name for path in sorted(folder.iterdir()) if path.suffix in PICKLES), None)


def wrong_tensors(folder: Path, rank: int, targets: tuple[str, ...], base: "BaseShapes") -> str | None:
    """Return the first thing that is wrong with an adapter's weights, or None; raises CorruptError for torn files."""
    tensors = read_header(folder / WEIGHTS)
    halves: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        match = _LORA.match(name)
        if match is None:
            return f"tensor {name} is no part of a LoRA"
        halves.setdefault(match["module"], {})[match["half"]] = tensor
    if not halves:
        return "it holds no tensors"
    for module, pair in sorted(halves.items()):
        if not _is_target(module, targets):
            return f"module {module} is not among its targets {', '.join(targets)}"
        if wrong := _wrong_module(module, pair, rank, base):
            return wrong
    unsound = first_unsound(folder / WEIGHTS, tensors)
    return f"tensor {unsound} holds numbers that are not finite" if unsound else None


def _wrong_module(module: str, pair: dict[str, Tensor], rank: int, base: "BaseShapes") -> str | None:
    shape = base.of(module)
    if shape is None:
        return f"the base has no module {module}"
    if set(pair) != {"A", "B"}:
        return f"module {module} has only half of its LoRA"
    width_out, width_in = shape
    wanted = {"A": (rank, width_in), "B": (width_out, rank)}
    for half, tensor in sorted(pair.items()):
        if tensor.shape != wanted[half]:
            return f"lora_{half} of {module} is {_shown(tensor.shape)}, base and rank ask for {_shown(wanted[half])}"
    return None


def _is_target(module: str, targets: tuple[str, ...]) -> bool:
    """Tell whether a module was trained by intent: named whole, by its last part, or by a pattern as PEFT reads it."""
    if targets == ("all-linear",):
        return True
    return any(module == target or module.endswith(f".{target}") or _matches(target, module) for target in targets)


def _matches(pattern: str, module: str) -> bool:
    try:
        return re.fullmatch(pattern, module) is not None
    except re.error:
        return False


class BaseShapes:
    """The widths of a base's linear modules: from its weights, else (quantised ones) from its configuration."""

    def __init__(self, weights: dict[str, tuple[int, int]], config: dict[str, Any]) -> None:
        """Answer from these."""
        self._weights = weights
        self._config = config

    def of(self, module: str) -> tuple[int, int] | None:
        """Return the widths (out, in) of a module, or None when the base has no such module."""
        if module in self._weights:
            return self._weights[module]
        return None if self._weights else self._from_config(module)

    def _from_config(self, module: str) -> tuple[int, int] | None:
        config, kind = self._config, module.rpartition(".")[2]
        layer = re.search(r"\.layers\.(\d+)\.", module)
        try:
            if layer is None or int(layer[1]) >= config["num_hidden_layers"]:
                return None
            hidden, heads, inner = config["hidden_size"], config["num_attention_heads"], config["intermediate_size"]
            head = config.get("head_dim") or hidden // heads
            keys = config.get("num_key_value_heads", heads)
        except (KeyError, TypeError):
            return None
        return {
            "q_proj": (heads * head, hidden), "k_proj": (keys * head, hidden), "v_proj": (keys * head, hidden),
            "o_proj": (hidden, heads * head), "gate_proj": (inner, hidden), "up_proj": (inner, hidden),
            "down_proj": (hidden, inner),
        }.get(kind)  # fmt: skip


def base_shapes(folder: Path) -> BaseShapes:
    """Read the widths of a base; raises UnavailableError when it cannot be read."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
        headers = [read_header(path) for path in sorted(folder.glob("*.safetensors"))]
    except (OSError, ValueError, CorruptError) as error:
        raise UnavailableError(
            f"the base in {folder} cannot be read: {error}", "check the base's path", delay=60
        ) from error
    weights = {
        name.removesuffix(".weight"): (tensor.shape[0], tensor.shape[1])
        for header in headers for name, tensor in header.items()
        if name.endswith(".weight") and len(tensor.shape) == _MATRIX and tensor.dtype in _FLOATS
    }  # fmt: skip
    quantised = "quantization_config" in config
    return BaseShapes({} if quantised else weights, config)


def _shown(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)
